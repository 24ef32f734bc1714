"""Make docs/zoo.md: what becomes of the classifiers of timm and torchvision, at the size their authors use.

    pip install -e ".[zoo]"
    python tools/make_zoo.py

It takes half an hour on two cores.
"""

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from zoo import CLASSES, ZOO, convert  # noqa: E402

HEAD = f"""# The zoo

Classifiers of timm {version("timm")} and torchvision, exported to ONNX and emitted as float32 TFLite by this program.
The page is made by `python tools/make_zoo.py`. Weights are random, batch normalisation has the statistics of data, and
every network has {CLASSES} classes. SNR compares the logits of two images with those of torch: of ONNX Runtime, and of
LiteRT with XNNPACK. It differs by a few decibels from machine to machine.

A TRANSPOSE is left where a softmax goes over the branches of a block (SKNet, ResNeSt): TFLite has it over the last axis
only.

| network | family | parameters | input | operators in ONNX | in TFLite | TRANSPOSE | SNR ONNX | SNR TFLite |
|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Convert them all; a network that fails ends it."""
    rows = []
    for member in ZOO:
        with tempfile.TemporaryDirectory() as folder:
            made = convert(member, member.own_side, folder, simplify=True)
        moves = made.tflite.get("TRANSPOSE", 0)
        cells = [
            member.name.replace(":", ": "),
            member.family,
            f"{made.parameters / 1e6:.1f} M",
            f"3x{member.own_side}x{member.own_side}",
            str(sum(made.onnx.values())),
            str(sum(made.tflite.values())),
            f"{moves} ({made.bytes_transposed / 1e3:.0f} kB)" if moves else "0",
            f"{made.onnx_db:.0f} dB",
            f"{made.tflite_db:.0f} dB",
        ]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    families = len({member.family for member in ZOO})
    foot = f"\n{len(ZOO)} networks of {families} families.\n"
    (ROOT / "docs" / "zoo.md").write_text(HEAD + "\n".join(rows) + "\n" + foot)


if __name__ == "__main__":
    main()
