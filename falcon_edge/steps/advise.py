"""The adviser: what int8 costs in quality and brings in speed, in figures and in words."""

from contextlib import closing
from pathlib import Path

from falcon_edge.bundle import EXPORTS
from falcon_edge.manifest import Advice, Speed
from falcon_edge.manifest import Quality as Said
from falcon_edge.metrics import Quality
from falcon_edge.steps.quantize import loss_of, said_loss
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.runtimes import runtime_for

WORTH_A_WORD = 0.1  # points of a share, or dB
PROTOCOL = Protocol(runs=100, seconds=1.0, processes=3, rounds=3, warm_up_seconds=0.3, every=0)


def advise(
    file: Path, *, quality_float: Quality | None, quality: Quality | None, wanted: float | None, speed: Speed | None
) -> Advice:
    """Advice on an int8 file of this quality, beside that of float32; wanted: how much of it may be lost."""
    if quality_float is None or quality is None:
        text = "what int8 costs, a metric would tell"
    else:
        text = _quality(quality_float, loss_of(quality_float, quality), wanted)
    text += "; whether it is faster, measuring tells" if speed is None else _speed(speed)
    return Advice(
        file=f"{EXPORTS}/{file.name}",
        quality=_said(quality),
        quality_float=_said(quality_float),
        speed=speed,
        text=text,
    )


def _said(quality: Quality | None) -> Said | None:
    return None if quality is None else Said(**vars(quality))


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


def _quality(best: Quality, lost: float, wanted: float | None) -> str:
    if wanted is not None and lost > wanted:
        loses = f"int8 loses {said_loss(best, lost)}, more than the {wanted:g} that were asked for"
        return f"{loses}: fine-tune, or keep float"
    if lost > (WORTH_A_WORD if best.unit else WORTH_A_WORD * abs(best.value)):
        return f"int8 loses {said_loss(best, lost)}; `keep_accuracy` leaves the layers that cost most in float"
    return "int8 loses nothing that shows" if lost > 0 else "int8 loses nothing"


def _speed(speed: Speed) -> str:
    times = speed.fp32_ns / speed.int8_ns
    where = f"on this machine ({speed.cpu or 'a CPU without a name'}, {speed.runtime}, one thread)"
    if times < 1:
        return f"; {where} it is slower than fp32 ({times:.2f} times as fast): use fp32 there"
    return f"; {where} it is {times:.2f} times as fast as fp32"
