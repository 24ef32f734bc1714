"""How far a device's answers may be from the golden ones: of every output of a file that an export makes."""

from collections.abc import Sequence

import numpy as np

from converters.parity import Parity
from falcon_edge.manifest import Output, Quantization, Tolerance

# What a device may differ from this host's runtime: other kernels add up in another order.
FLOAT_RTOL, HALF_RTOL = 1e-4, 1e-2
INT8_STEPS = 2
# Of whole numbers that a network decides on, the share that may be others: of two that are nearly equal.
DIFFERING = 0.01
UNNAMED = "file"  # the ledger puts the name of the file in its place


def float_tolerances(outputs: Sequence[Output], answers: Sequence[np.ndarray], rtol: float) -> list[Tolerance]:
    """Of a file that computes in float: a share of the largest value, and the class of a row of them."""
    return [
        Tolerance(file=UNNAMED, output=output.name, differing=DIFFERING)
        if values.dtype.kind in "biu"
        else _tolerance(output, rtol)
        for output, values in zip(outputs, answers, strict=True)
    ]


def int8_tolerances(
    outputs: Sequence[Output],
    answers: Sequence[np.ndarray],
    loss: Sequence[Parity],
    about: Quantization,
    *,
    integer_io: bool,
) -> list[Tolerance]:
    """INT8_STEPS of outputs that integers stand for; of others what int8 itself is off float32, if that is more.

    answers: as real numbers; loss: how far each is from float32.
    """
    found = float_tolerances(outputs, answers, FLOAT_RTOL)
    for place, (output, values) in enumerate(zip(outputs, answers, strict=True)):
        meaning = about.outputs.get(output.name)
        if values.dtype.kind in "biu":
            found[place] = found[place].model_copy(update={"differing": max(DIFFERING, loss[place].unequal or 0)})
        elif meaning is None:
            off = loss[place].max_relative
            found[place] = _tolerance(output, max(FLOAT_RTOL, off if np.isfinite(off) else 0.0))
        elif integer_io:
            found[place] = _tolerance(output, None, INT8_STEPS)
        else:
            largest = float(np.abs(values).max(initial=0))
            found[place] = _tolerance(output, INT8_STEPS * meaning.scale / largest if largest > 0 else 0.0)
    return found


def _tolerance(output: Output, rtol: float | None, max_lsb: int | None = None) -> Tolerance:
    classes = output.kind == "classes"
    return Tolerance(file=UNNAMED, output=output.name, rtol=rtol, max_lsb=max_lsb, classes=classes)
