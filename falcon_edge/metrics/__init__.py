"""Quality by name: what a network's outputs are worth, on any task."""

from collections.abc import Callable
from typing import get_args

from falcon_edge.errors import BadInput
from falcon_edge.metrics.fidelity import fidelity
from falcon_edge.metrics.metric import Metric, Outputs, Own, OwnFunction
from falcon_edge.metrics.named import METRICS
from falcon_edge.metrics.quality import Quality, Unit

__all__ = ["METRICS", "Metric", "Outputs", "Own", "OwnFunction", "Quality", "fidelity", "metric_named"]


def metric_named(metric: str | OwnFunction, load: Callable[[str], OwnFunction] | None = None) -> Metric:
    """A metric by name, or a user's function as one; load: finds the function of `module:function`.

    A user's function may say `higher_is_better = False` and `unit` ("share", "dB") as attributes of it. An object with
    `per_image` and `together` may stand for one (see Own). Raises BadInput for a name that is none.
    """
    if isinstance(metric, str):
        if metric in METRICS:
            return METRICS[metric]
        if ":" not in metric or load is None:
            raise BadInput(f"{metric}: no such metric; there are {', '.join(METRICS)} and module:function")
        name, function = metric, load(metric)
    else:
        name, function = getattr(metric, "__name__", type(metric).__name__), metric
    apart = all(callable(getattr(function, part, None)) for part in ("per_image", "together"))
    if not apart and not callable(function):
        raise BadInput(f"{name}: is not a function of (outputs, targets)")
    unit: Unit = getattr(function, "unit", "")
    if unit not in get_args(Unit):
        raise BadInput(f"{name}: its unit is {unit!r}; a metric has one of {', '.join(map(repr, get_args(Unit)))}")
    per_image, together = (function.per_image, function.together) if apart else (None, function)
    return Own(name, together, bool(getattr(function, "higher_is_better", True)), unit, per_image=per_image)
