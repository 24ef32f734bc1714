"""Compress a trained CNN with FALCON, export it, and prove on the device that it got faster."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from falcon_edge.data import Dataset, Split, from_batches, from_pairs, open_dataset
    from falcon_edge.errors import BadInput
    from falcon_edge.falcon.statistics import reestimate_batchnorm
    from falcon_edge.falcon.units import unit_named
    from falcon_edge.network import Network
    from falcon_edge.steps.adopt import adopt
    from falcon_edge.steps.bench import BenchRequest, Selection, bench
    from falcon_edge.steps.check import check_models
    from falcon_edge.steps.compress import compress, compress_bundle
    from falcon_edge.steps.export import export_bundle
    from falcon_edge.steps.modules import from_module
    from falcon_edge.steps.opening import Choice, open_network
    from falcon_edge.steps.pack import pack, pack_bundle
    from falcon_edge.steps.planning.budgets import Budget, Latency
    from falcon_edge.steps.planning.planner import planner_for
    from falcon_edge.steps.planning.predictor import predicted
    from falcon_edge.steps.quantize import Int8
    from falcon_edge.steps.times import TimesRequest, time_layers
    from falcon_edge.steps.train import train, train_bundle
    from falcon_edge.steps.tuning import tuned
    from falcon_edge.steps.writing import save
    from falcon_edge.times import read_times
    from falcon_edge.training.distillation import distillation, features, matching
    from falcon_edge.training.recipe import Recipe
    from falcon_edge.training.tuner import Tuner

__version__ = "0.1.0"

# What there is for Python, and where: torch is imported when it is asked for, not before.
PLACES = {
    "falcon.statistics": ("reestimate_batchnorm",),
    "falcon.units": ("unit_named",),
    "errors": ("BadInput",),
    "data": ("Dataset", "Split", "from_batches", "from_pairs", "open_dataset"),
    "network": ("Network",),
    "steps.adopt": ("adopt",),
    "steps.bench": ("BenchRequest", "Selection", "bench"),
    "steps.check": ("check_models",),
    "steps.compress": ("compress", "compress_bundle"),
    "steps.export": ("export_bundle",),
    "steps.modules": ("from_module",),
    "steps.opening": ("Choice", "open_network"),
    "steps.pack": ("pack", "pack_bundle"),
    "steps.planning.budgets": ("Budget", "Latency"),
    "steps.planning.planner": ("planner_for",),
    "steps.quantize": ("Int8",),
    "steps.planning.predictor": ("predicted",),
    "steps.times": ("TimesRequest", "time_layers"),
    "steps.train": ("train", "train_bundle"),
    "steps.tuning": ("tuned",),
    "steps.writing": ("save",),
    "times": ("read_times",),
    "training.distillation": ("distillation", "features", "matching"),
    "training.recipe": ("Recipe",),
    "training.tuner": ("Tuner",),
}

__all__ = [
    "BadInput", "BenchRequest", "Budget", "Choice", "Dataset", "Int8", "Latency", "Network", "Recipe", "Selection",
    "Split", "TimesRequest", "Tuner", "adopt", "bench", "check_models", "compress", "compress_bundle", "distillation",
    "export_bundle", "features", "from_batches", "from_module", "from_pairs", "matching", "open_dataset",
    "open_network", "pack", "pack_bundle", "planner_for", "predicted", "read_times", "reestimate_batchnorm", "save",
    "time_layers", "train", "train_bundle", "tuned", "unit_named",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for place, names in PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
