"""Groups of options that several verbs have, each with what its texts mean together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from falcon_edge.cli import options
from falcon_edge.errors import BadInput

if TYPE_CHECKING:
    from falcon_edge.falcon.units.unit import Unit
    from falcon_edge.steps.bench import Selection
    from falcon_edge.steps.opening import Choice
    from falcon_edge.steps.planning.budgets import Latency
    from falcon_edge.training.recipe import Recipe
    from falcon_edge.training.running import Running
    from runtime_bench.devices.device import Device

OF_LATENCY = "--times, --runtime, --precision, --device, --threads, --cpu and --paced"


@dataclass(frozen=True)
class Images:
    """The data, which class of it is which of the network, and what networks are judged by on it."""

    data: options.Data = None
    class_map: options.ClassMap = None
    metric: options.Metric = None

    def classes(self) -> dict[str, str | int | None] | None:
        """What the file of --class-map says. Raises BadInput for it, or a --metric, without data."""
        if self.metric is not None and self.data is None:
            raise BadInput(f"--metric {self.metric}: is measured on --data DATA, which is not there")
        return options.class_map(self.class_map, self.data)

    @property
    def words(self) -> list[object]:
        """As another verb is given them."""
        given = ("--data", self.data), ("--class-map", self.class_map), ("--metric", self.metric)
        return [word for name, value in given if value is not None for word in (name, value)]


@dataclass(frozen=True)
class Source:
    """What MODEL is, where it is no bundle."""

    model_args: options.ModelArgs = None
    weights: options.Weights = None
    weights_key: options.WeightsKey = None
    input_shape: options.Input = None
    num_classes: options.Classes = None
    width: options.Width = 1.0
    mean: options.Mean = None
    std: options.Std = None
    trust_code: options.TrustCode = False

    def choice(self, model: str, seed: int = 0, unit: "Unit | None" = None) -> "Choice":
        """The network of MODEL. Raises BadInput for texts that say nothing."""
        from falcon_edge.steps.opening import Choice

        return Choice(
            model,
            weights=self.weights,
            input_shape=options.shape(self.input_shape),
            num_classes=self.num_classes,
            width=self.width,
            mean=options.numbers(self.mean, "--mean"),
            std=options.numbers(self.std, "--std"),
            seed=seed,
            weights_key=self.weights_key,
            trust_code=self.trust_code,
            model_args=options.arguments(self.model_args),
            unit=unit,
        )


@dataclass(frozen=True)
class Training:
    """How to train, and on what."""

    recipe: options.Recipes = None
    lr: options.LearningRate = None
    batch_size: options.BatchSize = None
    weight_decay: options.WeightDecay = None
    temperature: options.Temperature = None
    distillation: options.Distillation = None
    crop_padding: options.CropPadding = None
    flip: options.Flip = None
    seed: options.RecipeSeed = None
    accelerator: options.Accelerator = "cpu"
    workers: options.Workers = 0
    curves: options.Curves = None

    def how(self, own: Mapping[str, Any], epochs: int | None) -> "Recipe":
        """The recipe: what a verb does on its `own`, and what is said of it. Raises BadInput for what it has not."""
        return options.recipe(
            self.recipe,
            own,
            epochs=epochs,
            learning_rate=self.lr,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            temperature=self.temperature,
            distillation=self.distillation,
            crop_padding=self.crop_padding,
            flip=self.flip,
            seed=self.seed,
        )

    def running(self) -> "Running":
        """What trains, and what it says meanwhile."""
        from falcon_edge.training.running import Running

        return Running(self.accelerator, self.workers, self.curves)


@dataclass(frozen=True)
class OfLatency:
    """What a latency is."""

    times: options.Times = None
    runtime: options.TimesRuntime = None
    precision: options.TimesPrecision = None
    device: options.TimesDevice = None
    threads: options.TimesThreads = 1
    cpu: options.TimesCpu = options.Cpu.any
    paced: options.Paced = False

    @property
    def said(self) -> bool:
        """Whether anything was."""
        return self != OfLatency()

    def latency(self) -> "Latency":
        """Raises BadInput where not enough was said."""
        from falcon_edge.steps.planning.budgets import Latency

        if self.times is None or self.runtime is None or self.precision is None:
            raise BadInput("a latency needs --times (made by falcon-edge times), --runtime and --precision")
        return Latency(
            self.times,
            self.runtime,
            self.precision,
            device=self.device,
            threads=self.threads,
            cpu=self.cpu.value,
            paced=self.paced,
        )


@dataclass(frozen=True)
class Phones:
    """What runs files on phones."""

    runner: options.Runner = None
    ort_aar: options.OrtAar = None
    litert_aar: options.LitertAar = None

    @property
    def archives(self) -> list[Path]:
        """The files among them."""
        return [*([self.ort_aar] if self.ort_aar else []), *(self.litert_aar or [])]

    def devices(self, names: Sequence[str], *, clean: bool = False) -> "list[Device]":
        """The devices of names. Raises BadInput where something is said of phones, and there is none among them."""
        from runtime_bench.devices import archives
        from runtime_bench.devices.names import device_named, is_phone

        named = {"onnxruntime": [self.ort_aar] if self.ort_aar else [], "litert": list(self.litert_aar or [])}
        given = {"--runner": self.runner, **{archives.OPTIONS[runtime]: files for runtime, files in named.items()}}
        option = next((option for option, value in given.items() if value), None)
        if not any(map(is_phone, names)):
            if option is not None:
                raise BadInput(f"{option}: is for phones; name one by --device adb")
            return [device_named(name, clean=clean) for name in names]
        found = archives.known(named)
        return [device_named(name, clean=clean, runner=self.runner, archives=found) for name in names]


@dataclass(frozen=True)
class Chosen:
    """Which files of bundles are measured; all, where nothing is said."""

    runtime: options.RuntimesMeasured = None
    target: options.TargetsMeasured = None
    precision: options.PrecisionsMeasured = None

    def selection(self) -> "Selection":
        """These files."""
        from falcon_edge.steps.bench import Selection

        return Selection(self.runtime or (), self.target or (), self.precision or ())


@dataclass(frozen=True)
class Bursts:
    """How much is measured of a file back to back."""

    runs: options.Runs = 50
    seconds: options.Seconds = 5.0
    processes: options.Processes = 5
    rounds: options.Rounds = 2
    warm_up_seconds: options.WarmUp = 1.0
