"""Entries with everything that a report can show."""

import pytest

from runtime_bench.results import Agreement, Counts, Flag, Layer, Memory, Peaks, Profile, Quality
from runtime_bench.stats import intervals


@pytest.fixture(scope="session")
def compressed(entry):
    """Makes compressed entries: as `entry`, of the standard called 'standard'."""

    def compressed(name="falcon", samples=(20, 22, 24), **options):
        model = {"role": "compressed", "identity": name, "parent": "standard", "macs": 100}
        return entry(name, samples, **(model | options))

    return compressed


def layer(output, ns=100.0, **options):
    values = {"operators": ("Conv",), "dtype": "float32", "form": "standard", "macs": 500, "bytes": 50}
    return Layer(**(values | {"output": output, "ns": ns} | options))


@pytest.fixture(scope="session")
def full(entry, compressed, results):
    """Results of a standard and a compressed model, with every figure there is."""

    def full(**options):
        pair = []
        for make, share, samples in ((entry, 0.9, (100, 110, 120) * 20), (compressed, 0.85, (20, 22, 24) * 20)):
            name = "standard" if make is entry else "falcon"
            layers = [layer("a"), layer("b", 300.0)]
            if make is compressed:
                layers = [
                    layer("a", 20.0),
                    layer("b.pointwise", 30.0, form="pointwise", macs=80),
                    layer("b", 10.0, form="depthwise", macs=20, flags=("odd-channels",)),
                ]
            made = make(
                name,
                samples,
                memory=Memory(bare=10**7, before_load=2 * 10**7, after_load=3 * 10**7, peak=4 * 10**7),
                quality=(
                    Quality(
                        metric="top1",
                        value=share,
                        interval=(share - 0.1, share + 0.05),
                        data="sample",
                        samples=100,
                        unit="share",
                    ),
                ),
                agreement=(
                    Agreement(
                        output="logits",
                        vectors=8,
                        max_abs=0.0,
                        max_relative=0.0,
                        snr_db=None,
                        classes_equal=8,
                        within_tolerance=True,
                    ),
                ),
                flags=(Flag(flag="noisy", reason="it spreads", remedy="stop other work"),),
                profile=Profile(method="runtime", layers=tuple(layers), remainder_ns=1.0),
                load_ns=10**6,
                first_inference_ns=10**5,
            )
            pair.append(made.model_copy(update={"intervals": intervals(made.bursts)}))
        peaks = Peaks(macs_per_second={"fp32": 1e10}, bytes_per_second=1e9)
        return results(*pair).model_copy(update={"peaks": peaks, **options})

    return full


@pytest.fixture(scope="session")
def emulated(entry, compressed, results):
    """Results of an emulated device: counts, and samples that are none of a real CPU."""

    def emulated():
        pair = [
            make(
                emulated=True,
                device="arm64:cortex-a53",
                counts=Counts(
                    cpu="cortex-a53", instructions=count, classes={"vector": count // 2}, macs={"fmla": count // 4},
                    loads=10, stores=5, bytes_loaded=40, bytes_stored=20, l1_misses=3, cycles=(1e3, 2e3),
                ),
            )
            for make, count in ((entry, 6000), (compressed, 1000))
        ]  # fmt: skip
        return results(*pair, cpu="Cortex-A53")

    return emulated
