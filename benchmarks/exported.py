"""Bundles with their exported files, and pairs with fresh weights for what depends on shapes alone."""

from collections.abc import Sequence
from pathlib import Path

from falcon_edge.bundle import bundle_path, open_bundle
from falcon_edge.data.formats import SAMPLE
from falcon_edge.models.sources import BUILTIN
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8

KINDS = [(runtime, precision) for precision in ("int8", "fp32") for runtime in ("onnxruntime", "litert")]


def exported(bundle: Path, int8: Int8) -> Path:
    """A bundle with the files of all KINDS, exported if they are not there."""
    if len(open_bundle(bundle).manifest.exports) < len(KINDS):
        export_bundle(bundle, ("onnx", "tflite"), ("fp32", "int8"), int8=int8)
    return bundle


def exported_pair(network: str, rank: int, precisions: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """A network with fresh weights, NETWORK, and what FALCON makes of it, NETWORK-kRANK: two bundles in `folder`.

    Each with .onnx and .tflite; int8 is calibrated on the sample.
    """
    standard, falcon = (bundle_path(folder / name) for name in (network, f"{network}-k{rank}"))
    pack_bundle(Choice(network, input_shape=BUILTIN[network].input_shape), standard, data=SAMPLE)
    compress_bundle(Choice(str(standard)), falcon, rank=rank)
    for bundle in (standard, falcon):
        export_bundle(bundle, ("onnx", "tflite"), precisions, int8=Int8(SAMPLE, samples=64))
    return standard, falcon
