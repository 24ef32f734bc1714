"""Mixed precision: the fewest layers left in float with which a quantized network is as good as asked."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto

from converters.onnx_graph import OnnxGraph
from converters.passes.rewrites.rules import Rules
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import Quantized, constrain, prepare
from converters.quantization.rules import LINEAR
from converters.runtimes import run_onnx

REASON = "kept in float: one of the layers that int8 hurts most"
NOISE_SAMPLES = 32


def quantize_within(
    source: Path | ModelProto,
    samples: Sequence[np.ndarray] | np.ndarray,
    good_enough: Callable[[Quantized], bool],
    *,
    method: str,
    kept: Mapping[str, str],
    rules: Rules | None = None,
) -> Quantized:
    """Quantize a graph and keep the fewest Conv and Gemm nodes in float with which `good_enough` holds.

    Layers are taken in the order of the noise that each alone brings to the output; how many, a bisection finds (that
    more kept layers are never worse is assumed; the result itself was tried). If none is good enough, all are kept.
    kept: nodes that stay in float in any case, and why. rules: as of `quantize`.
    """
    observed = prepare(source, samples, rules=rules)
    done = constrain(observed, method=method, kept=kept)
    if good_enough(done):
        return done
    order = by_noise(done, np.asarray(samples[:NOISE_SAMPLES]))
    few, many = 0, len(order)  # `few` are too few; `many` are enough, or all there are
    best = None
    while many - few > 1 or best is None:
        count = (few + many) // 2 if many - few > 1 else many
        chosen = {**dict.fromkeys(order[:count], REASON), **kept}
        tried = constrain(observed, method=method, kept=chosen)
        if good_enough(tried) or count == len(order):
            many, best = count, tried
        else:
            few = count
    return best


def by_noise(quantized: Quantized, samples: np.ndarray) -> list[str]:
    """The quantized Conv and Gemm nodes (by their first output), the one that alone makes the most noise first.

    Of several outputs each counts by its noise beside its signal: a score is not less than a box.
    """
    graph, spec = OnnxGraph(quantized.model), quantized.spec
    nodes = [node.output[0] for node in graph.nodes if node.op_type in LINEAR and node.output[0] not in spec.kept]
    others = [node.output[0] for node in graph.nodes if node.op_type != "Constant"]
    reference = run_onnx(quantized.model, samples)
    signals = [float(np.square(exact, dtype=np.float64).sum()) or 1.0 for exact in reference]
    noise = {}
    for name in nodes:
        alone = quantized.with_kept(dict.fromkeys((other for other in others if other != name), "measured apart"))
        found = run_onnx(write_qdq(alone.model, alone.spec), samples)
        noise[name] = sum(
            float(np.square(rounded.astype(np.float64) - exact).sum()) / signal
            for rounded, exact, signal in zip(found, reference, signals, strict=True)
        )
    return sorted(nodes, key=lambda name: -noise[name])
