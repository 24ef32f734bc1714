"""The adviser: what int8 costs in accuracy and brings in speed, in figures and in words."""

from contextlib import closing
from pathlib import Path

from falcon_edge.bundle import EXPORTS
from falcon_edge.manifest import Advice, Speed
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.runtimes import runtime_for

WORTH_A_WORD = 0.1  # points of top-1
PROTOCOL = Protocol(runs=100, seconds=1.0, processes=3, rounds=3, warm_up_runs=5, warm_up_seconds=0.3)


def advise(
    file: Path, *, samples: int, top1_float: float, top1: float, wanted: float | None, speed: Speed | None
) -> Advice:
    """Advice on an int8 file whose top-1 (0..1) on `samples` images is `top1`; wanted: points that may be lost."""
    text = _accuracy(100 * (top1_float - top1), wanted)
    text += "; whether it is faster, measuring tells" if speed is None else _speed(speed)
    return Advice(
        file=f"{EXPORTS}/{file.name}", samples=samples, top1_float=top1_float, top1=top1, speed=speed, text=text
    )


def measured_speed(fp32: Path, int8: Path) -> Speed | None:
    """Both files on this machine, in turns; None where one of them could not be measured."""
    candidates = [
        Candidate(path, runtime_for(path.suffix).name, path.stem, path.suffix[1:], precision)
        for path, precision in ((fp32, "fp32"), (int8, "int8"))
    ]
    with closing(LocalDevice()) as device:
        results = bench(candidates, device, PROTOCOL)
    if results.interrupted:
        raise KeyboardInterrupt
    one, other = results.entries
    if one.summary is None or other.summary is None:
        return None
    return Speed(
        cpu=results.before.cpu,
        runtime=candidates[0].runtime,
        fp32_ns=one.summary.p50_ns,
        int8_ns=other.summary.p50_ns,
    )


def _accuracy(lost: float, wanted: float | None) -> str:
    if wanted is not None and lost > wanted:
        return f"int8 loses {lost:.2f} points, more than the {wanted:g} that were asked for: fine-tune, or keep float"
    if lost > WORTH_A_WORD:
        return f"int8 loses {lost:.2f} points; `keep_accuracy` leaves the layers that cost most in float"
    return "int8 loses nothing that shows" if lost > 0 else "int8 loses nothing"


def _speed(speed: Speed) -> str:
    times = speed.fp32_ns / speed.int8_ns
    where = f"on this machine ({speed.cpu or 'a CPU without a name'}, {speed.runtime}, one thread)"
    if times < 1:
        return f"; {where} it is slower than fp32 ({times:.2f} times as fast): use fp32 there"
    return f"; {where} it is {times:.2f} times as fast as fp32"
