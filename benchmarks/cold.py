"""What a cold inference costs beside one back to back, and which ways of calling a runtime make it cheaper.

    python benchmarks/cold.py [--ticks 120] [--networks empty standard rank1]

The shipped network, standard and at rank 1, in fp32 and int8, and a network of one Relu of one number ("empty": what a
call costs). Each way of calling (VARIANTS) has a worker of its own, whose driver is ours with a few lines changed; they
take turns by round and by tick. Paced: one inference every 33 ms, of one of them.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from converters.tflite.emit import emit_tflite
from falcon_edge.bundle import bundle_path
from falcon_edge.data.formats import SAMPLE
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.devices.device import WorkerHandle
from runtime_bench.devices.local import LocalDevice
from runtime_bench.interrupts import at_once
from runtime_bench.results import Burst, summarise
from runtime_bench.runtimes import runtime_for
from runtime_bench.stats import paired_ratio

ROUNDS, EVERY_MS = 10, 33
AS_IT_IS = "as it is"
# What is done to the options before the session is made, or how it is run instead.
OPTION = "class Session(Session):\n    def open(self):\n        {0}\n        return super().open()\n"
BOUND = """
class Session(Session):
    def load(self, path, threads, signed):
        super().load(path, threads, signed)
        self.binding = self.session.io_binding()
        for name in self.output_names:
            self.binding.bind_output(name)
    def run(self, value):
        self.binding.bind_cpu_input(self.source_name, value)
        self.session.run_with_iobinding(self.binding)
        return self.binding.copy_outputs_to_cpu()
"""
VIEWS = """
class Session(Session):
    def run(self, value):
        self.interpreter.tensor(self.source_index)()[...] = value
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.target_indices]
"""
SIGNATURE = """
class Session(Session):
    def load(self, path, threads, signed):
        super().load(path, threads, signed)
        self.runner = self.interpreter.get_signature_runner()
        (self.name,) = self.runner.get_input_details()
    def run(self, value):
        return [*self.runner(**{self.name: value}).values()]
"""
VARIANTS = {
    "onnxruntime": {
        AS_IT_IS: "",
        "no spinning": OPTION.format('self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")'),
        "no memory pattern": OPTION.format("self.options.enable_mem_pattern = False"),
        "no arena": OPTION.format("self.options.enable_cpu_mem_arena = False"),
        "no prepacked weights": OPTION.format(
            'self.options.add_session_config_entry("session.disable_prepacking", "1")'
        ),
        "bound input and output": BOUND,
    },
    "litert": {AS_IT_IS: "", "input as a view": VIEWS, "signature runner": SIGNATURE},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ticks", type=int, default=120)
    parser.add_argument("--networks", nargs="+", default=["empty", "standard", "rank1"])
    options = parser.parse_args()
    print("| file | runtime | called | back to back | cold | paced | cold beside as it is | paced beside as it is |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, file in files(Path(folder)):
            if name.split()[0] in options.networks:
                for row in rows(file, Path(folder), options.ticks):
                    print(f"| {name} | {row} |", flush=True)


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every model file with its name."""
    empty = folder / "empty.onnx"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "relu")], "empty", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), empty)
    emit_tflite(empty, empty.with_suffix(".tflite"))
    yield from (("empty fp32", empty.with_suffix(suffix)) for suffix in (".onnx", ".tflite"))
    standard, rank1 = copy_sample_network(folder / "standard"), bundle_path(folder / "rank1")
    compress_bundle(Choice(str(standard)), rank1, rank=1)
    for bundle in (standard, rank1):
        export_bundle(bundle, ("onnx", "tflite"), ("fp32", "int8"), int8=Int8(SAMPLE, samples=64))
        for precision in ("fp32", "int8"):
            for target in ("onnx", "tflite"):
                yield f"{bundle.stem} {precision}", bundle / "exports" / f"model.{precision}.{target}"


def rows(file: Path, folder: Path, ticks: int) -> Iterator[str]:
    """A line for every way of calling a file's runtime."""
    runtime, order, device = runtime_for(file.suffix), random.Random(0), LocalDevice()
    variants, found = VARIANTS[runtime.name], {}
    with ExitStack() as stack:
        workers: dict[str, WorkerHandle] = {}
        for number, (name, change) in enumerate(variants.items()):
            driver = folder / f"{runtime.name}{number}.py"
            driver.write_text(runtime.driver.read_text() + change)
            worker = workers[name] = stack.enter_context(device.start_worker())
            request = {"path": str(file), "runtime": runtime.name, "threads": 1, "driver": str(driver)}
            worker.ask("load", timeout=60, cpus=list(device.fastest_cpus(1) or ()), **request)
            worker.ask("warm_up", timeout=60, runs=20, seconds=0.2)
            found[name] = {way: [] for way in ("back to back", "cold", "paced")}

        def measured(name: str, way: str, number: int, **request: object) -> None:
            samples = workers[name].ask("measure", timeout=300, runs=ticks // ROUNDS, **request)["samples_ns"]
            found[name][way].append(Burst(process=number, round=0, samples_ns=tuple(samples)))

        for number in range(ROUNDS):
            for name in order.sample(list(workers), len(workers)):
                measured(name, "back to back", number)
            for name in order.sample(list(workers), len(workers)):
                measured(name, "cold", number, cold=True)
            turns = enumerate(order.sample(list(workers), len(workers)))
            paced = {"every_ms": EVERY_MS, "turns": len(workers)}
            at_once([partial(measured, name, "paced", number, turn=turn, **paced) for turn, name in turns])
    device.close()
    for name, bursts in found.items():
        medians = [f"{summarise(tuple(bursts[way])).p50_ns / 1e3:.0f} µs" for way in bursts]
        ratios = []
        for way in ("cold", "paced"):
            ratio, (low, high) = paired_ratio(bursts[way], found[AS_IT_IS][way])
            ratios.append("" if name == AS_IT_IS else f"{ratio:.3f} ({low:.3f}..{high:.3f})")
        yield " | ".join([runtime.title, name, *medians, *ratios])


if __name__ == "__main__":
    main()
