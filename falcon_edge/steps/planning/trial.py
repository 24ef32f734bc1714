"""What compressed networks really cost and lose: exported as they ship, and measured beside the original."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from converters.passes.rewrites.rules import Recorded
from falcon_edge.data import Dataset, Split
from falcon_edge.errors import BadInput, DeviceFailed
from falcon_edge.metrics import Outputs
from falcon_edge.metrics.quality import over_images
from falcon_edge.network import Network
from falcon_edge.preprocessing import batch_pixels
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.bench import BenchRequest, Selection, bench
from falcon_edge.steps.evaluations import host_answers
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.judging import Judge, MetricChoice, judge_for
from falcon_edge.steps.planning.budgets import Latency
from falcon_edge.steps.quality import answers_to
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.writing import save
from falcon_edge.training.images import Images
from runtime_bench.bench import Protocol
from runtime_bench.measurement import EVERY
from runtime_bench.results import Entry, Timing
from runtime_bench.runtimes import runtime_named
from runtime_bench.stats import Interval, ratio_interval
from runtime_bench.ways import BACK_TO_BACK

PERCENT = 100


@dataclass(frozen=True)
class Figure:
    """What was measured, with its 95% interval (None: it has none)."""

    value: float
    interval: Interval | None = None


@dataclass(frozen=True)
class Drop(Figure):
    """What a network lost beside the original on the same images; metric: by which; in points of a share, or a unit."""

    metric: str = ""
    unit: str = "points"


@dataclass(frozen=True)
class Outcome:
    """Of one network. latency: seconds, or cycles of an emulated CPU; share: of the original's in the same run."""

    drop: Drop
    latency: Figure | None = None
    share: Figure | None = None


class Trial:
    """Measures compressed networks beside their original: what they cost on a device, and what they lose by a metric.

    Used as a context: files that were exported stay until it ends. latency: of what; without it networks are judged
    in memory, by quality alone.
    """

    def __init__(
        self,
        original: Network,
        dataset: Dataset,
        latency: Latency | None = None,
        *,
        metric: MetricChoice = None,
        protocol: Protocol | None = None,
    ):
        """Raises BadInput for data without a test split, or outputs that nothing says how to judge."""
        self._original, self._dataset, self._latency = original, dataset, latency
        self._test: Split = dataset.require("test")
        self._judge: Judge = judge_for(self._test, original.input, original.outputs, metric, where=str(dataset.source))
        if self._judge.metric is None and not self._judge.with_classes:
            raise BadInput(f"{dataset.name}: has no targets and {original} no classes: nothing says what is lost")
        self._protocol = protocol or Protocol()
        self._open = ExitStack()
        self._answers: Outputs | None = None
        self._pixels: np.ndarray | None = None
        self._files: dict[int, tuple[Network, Path]] = {}  # by identity, each held: the next one is another's

    def __enter__(self) -> "Trial":
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="falcon-edge-"))
        self._folder = Path(folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def outcomes(self, networks: Sequence[Network], *, progress: Progress = silent) -> list[Outcome]:
        """Of compressed networks, which are measured in turns with the original.

        Raises DeviceFailed for one that could not be measured.
        """
        if self._latency is None:
            return [Outcome(self._drop(self._of_module(network))) for network in networks]
        files = [self._exported(network, self._latency, progress) for network in (self._original, *networks)]
        standard, *entries = self._measured(files, self._latency, progress)
        found = []
        for file, entry in zip(files[1:], entries, strict=True):
            progress(0, 1, "what it lost")
            drop = self._drop(host_answers(self._judge, file, self._images(), self._original.input))
            found.append(Outcome(drop, _latency(entry, self._latency), _share(entry, standard, self._latency)))
        return found

    def _exported(self, network: Network, latency: Latency, progress: Progress) -> Path:
        """The one file of a network that is measured, in a bundle of its own."""
        if id(network) not in self._files:
            bundle = self._folder / f"{len(self._files)}.falcon"
            save(network, bundle, self._dataset)
            target = runtime_named(latency.runtime).suffixes[0][1:]
            rules = Recorded(latency.cpu)
            int8 = Int8(self._dataset, accept_loss=True, rules=rules) if latency.precision == "int8" else None
            manifest = export_bundle(bundle, [target], [latency.precision], int8=int8, progress=progress)
            (file,) = (each.file for each in manifest.exports if each.target == target)
            self._files[id(network)] = network, bundle / file
        return self._files[id(network)][1]

    def _measured(self, files: Sequence[Path], latency: Latency, progress: Progress) -> list[Entry]:
        protocol = replace(
            self._protocol, threads=(latency.threads,), every=EVERY if latency.paced else 0.0, cold=False
        )
        request = BenchRequest(protocol, Selection([latency.runtime]))
        results = bench(files, request, device=latency.series.device, progress=progress)
        for entry in results.entries:
            if entry.failure is not None:
                raise DeviceFailed(f"{entry.model.name}: could not be measured on {entry.device}: {entry.failure}")
        return [*results.entries]

    def _images(self) -> np.ndarray:
        """Of the test split, as the input's specification reads them."""
        if self._pixels is None:
            self._pixels = batch_pixels(self._test.images, self._original.input)
        return self._pixels

    def _of_module(self, network: Network) -> Outputs:
        return self._judge.collected(answers_to(network, Images(self._test, network.input)))

    def _drop(self, found: Outputs) -> Drop:
        """What answers lose beside those of the original, image by image; without targets decisions that changed."""
        if self._answers is None:
            self._answers = self._of_module(self._original)
        metric, targets, count = self._judge.metric, self._judge.targets, len(self._test)
        if metric is None or targets is None:
            name = self._judge.with_classes[0]
            changed = (self._answers[name].argmax(1) != found[name].argmax(1)).reshape(count, -1).mean(axis=1)
            return _of_images(lambda images: float(changed[images].mean()), count, f"same:{name}", "share", 1)
        before, after = (metric.figure(answers, targets) for answers in (self._answers, found))
        sign = 1 if metric.higher_is_better else -1
        return _of_images(lambda images: before(images) - after(images), count, metric.name, metric.unit, sign)


def _of_images(lost: Callable[[np.ndarray], float], count: int, metric: str, unit: str, sign: int) -> Drop:
    """What is lost of a metric in a unit, with its interval over images.

    lost: (places of images) -> what is lost on these. count: of all images. sign: 1 where less of the metric is worse.
    """
    times = sign * (PERCENT if unit == "share" else 1)
    value, interval = lost(np.arange(count)), over_images(lost, count)
    ends = None if interval is None else sorted(times * end for end in interval)
    return Drop(
        times * value, None if ends is None else (ends[0], ends[1]), metric, "points" if unit == "share" else unit
    )


def _timing(entry: Entry, latency: Latency) -> Timing:
    return entry.timings["paced" if latency.paced else BACK_TO_BACK]


def _latency(entry: Entry, latency: Latency) -> Figure:
    """Seconds, or an emulated CPU's cycles."""
    if entry.counts is not None:
        return Figure(_cycles(entry))
    timing = _timing(entry, latency)
    ends = None if timing.intervals is None else timing.intervals.p50_ns
    return Figure(timing.summary.p50_ns / 1e9, None if ends is None else (ends[0] / 1e9, ends[1] / 1e9))


def _share(entry: Entry, standard: Entry, latency: Latency) -> Figure:
    """Of the standard network's."""
    if entry.counts is not None:
        return Figure(_cycles(entry) / _cycles(standard))
    own, its = (_timing(each, latency) for each in (entry, standard))
    value = own.summary.p50_ns / its.summary.p50_ns
    return Figure(value, ratio_interval(own.bursts, its.bursts))


def _cycles(entry: Entry) -> float:
    assert entry.counts is not None
    if entry.counts.cycles is None:
        raise DeviceFailed(f"{entry.device}: no cycles were estimated")
    return float(entry.counts.cycles[0])
