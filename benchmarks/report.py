"""How long the report of 20 models with 10,000 samples each takes, and how large it is.

The goal: under 5 s and under 3 MB, from the results file to the page on disk.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from runtime_bench.environment import local_environment
from runtime_bench.files import write
from runtime_bench.report import page
from runtime_bench.report.contents import contents
from runtime_bench.results import (
    Burst,
    Entry,
    Layer,
    Memory,
    ModelInfo,
    Peaks,
    Profile,
    Quality,
    Results,
    RuntimeInfo,
    load,
    save,
    summarise,
)
from runtime_bench.stats import intervals


def entry(number: int, samples: int, processes: int, layers: int) -> Entry:
    """A standard model, or one that was made of it, whose samples scatter as they do on a server."""
    random = np.random.default_rng(number)
    middle = 1e6 if number == 0 else random.uniform(1e5, 5e5)
    times = (
        middle * random.normal(1, 0.01, (processes, 1)) * random.lognormal(0, 0.05, (processes, samples // processes))
    )
    bursts = tuple(
        Burst(process=process, round=0, samples_ns=tuple(each.astype(int).tolist()))
        for process, each in enumerate(times)
    )
    model = ModelInfo(
        name="standard" if number == 0 else f"falcon-{number}", file="model.fp32.onnx", sha256=f"{number:064x}",
        bytes=10**7 // (number + 1), target="onnx", precision="fp32", role="standard" if number == 0 else "compressed",
        identity=str(number), parent=None if number == 0 else "0", parameters=10**6, macs=10**8 // (number + 1),
    )  # fmt: skip
    profile = tuple(
        Layer(
            operators=("Conv", "Relu"), output=f"/features/features.{layer}/Relu_output_0", shape=(1, 64, 32, 32),
            dtype="float32", form="standard", channels=(64, 64), macs=10**6, bytes=10**5, ns=middle / layers,
        )
        for layer in range(layers)
    )  # fmt: skip
    return Entry(
        model=model,
        runtime=RuntimeInfo(name="onnxruntime", package="onnxruntime", version="1", kernels="CPU", threads=1),
        device="local",
        emulated=False,
        bursts=bursts,
        summary=summarise(bursts),
        intervals=intervals(bursts),
        memory=Memory(bare=10**7, before_load=4 * 10**7, after_load=5 * 10**7, peak=6 * 10**7),
        quality=(
            Quality(metric="top1", value=0.9, interval=(0.886, 0.912), data="sample", samples=2000, unit="share"),
        ),
        profile=Profile(method="runtime", layers=profile, remainder_ns=0.0),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--layers", type=int, default=50)
    options = parser.parse_args()
    environment = local_environment()
    results = Results(
        created="2026-01-01T00:00:00+00:00",
        options={},
        before=environment,
        after=environment,
        peaks=Peaks(macs_per_second={"fp32": 5e10}, bytes_per_second=2e10),
        entries=tuple(
            entry(number, options.samples, options.processes, options.layers) for number in range(options.models)
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "results.json"), Path(folder, "report.html")
        save(results, source)
        start = time.perf_counter()
        write(page.html(contents([load(source)])).encode(), target)
        seconds = time.perf_counter() - start
        print(
            f"{options.models} models with {options.samples:,} samples and {options.layers} layers each: "
            f"{seconds:.1f} s, {target.stat().st_size:,} bytes, of results of {source.stat().st_size:,} bytes"
        )


if __name__ == "__main__":
    main()
