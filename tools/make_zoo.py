"""Make docs/zoo.md: what becomes of the classifiers of timm and torchvision.

    pip install -e ".[zoo]"
    python tools/make_zoo.py [--results FILE]

It takes half an hour. Each network has a process of its own, so that none can cost the others. FILE takes one line of
JSON for each as it is done, and a network that has one is not examined again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 600
HEAD = """# The zoo

Classifiers of timm {timm} and torchvision {torchvision}, of as many families as there are, exported to ONNX and emitted
as TFLite in float32 and in int8 by this program, and compressed with FALCON. The page is made by
`python tools/make_zoo.py`, at the small inputs that the tests use, not at those of the authors. Weights are random,
batch normalisation has the statistics of data, and every network has {classes} classes. {tried} images of noise are
compared.

| column | says |
|---|---|
| ops | operators in the ONNX file, in the TFLite file, TRANSPOSE among the latter |
| fp32 | SNR of the logits against torch: ONNX Runtime, LiteRT with XNNPACK |
| int8 | SNR of ONNX Runtime's int8 against its float32, of LiteRT's int8 against ONNX Runtime's int8 ("same": every bit); nodes that stay in float because one of the runtimes has no int8 kernel for them |
| FALCON | convolutions replaced, of how many; the largest difference of the logits at lossless rank, relative to the largest logit; at rank 2 the parameters that are left, and SNR of ONNX Runtime and LiteRT against torch |

Of random weights, int8's SNR is no measure of a trained network's accuracy, and rank 2 without fine-tuning is no
classifier: the table says that both run, and how exactly. SNR differs by a few decibels from machine to machine.

A softmax over the branches of a block (SKNet, ResNeSt) is emitted as arithmetic, e / sum(e): TFLite's SOFTMAX goes over
the last axis only, and two transposes would be needed. "Nothing is cheaper" stands where no convolution becomes FALCON:
each is pointwise, depthwise, of a class of its own (weight-standardised, padded as TensorFlow does), or its stride is
so large that the pointwise part at the input's size would cost more. `falcon-edge compress` says so, and why.

| network | family | parameters | input | ops | fp32, dB | int8, dB | float nodes | FALCON | lossless | rank 2 | rank 2, dB |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501


def main() -> None:
    """Examine what is missing, then write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
    import torch
    import zoo

    if given.one:
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(zoo.examine(given.one, folder)))
        return
    known = {}
    if given.results and given.results.exists():
        known = {found["name"]: found for found in map(json.loads, given.results.read_text().splitlines())}
    for name in zoo.MEMBERS:
        if name not in known:
            known[name] = _examined(name)
            print(json.dumps(known[name]), flush=True)
            if given.results:
                with given.results.open("a") as file:
                    file.write(json.dumps(known[name]) + "\n")
    head = HEAD.format(timm=version("timm"), torchvision=version("torchvision"), classes=zoo.CLASSES, tried=zoo.TRIED)
    rows = [_row(member, known[member.name]) for member in zoo.ZOO]
    (ROOT / "docs" / "zoo.md").write_text(head + "".join(rows) + _foot(zoo.ZOO, known))


def _examined(name: str) -> dict:
    """What a process of its own finds of a network."""
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
    except subprocess.TimeoutExpired:
        problem = f"not done within {SECONDS} s"
    else:
        if done.returncode == 0:
            return json.loads(done.stdout.splitlines()[-1])
        problem = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    return {"name": name, "fp32": problem, "int8": problem, "falcon": problem}


def _row(member, found: dict) -> str:
    cells = [member.name.replace(":", ": "), member.family]
    fp32, int8, falcon = found["fp32"], found["int8"], found["falcon"]
    if isinstance(fp32, dict):
        moves, kilobytes = fp32["tflite"].get("TRANSPOSE", 0), fp32["bytes_transposed"] / 1e3
        operators = f"{sum(fp32['onnx'].values())} / {sum(fp32['tflite'].values())}"
        cells += [
            f"{fp32['parameters'] / 1e6:.1f} M",
            f"3x{member.side}x{member.side}",
            f"{operators} / {f'{moves} ({kilobytes:.0f} kB)' if moves else 0}",
            f"{fp32['onnx_db']:.0f}, {fp32['tflite_db']:.0f}",
        ]
    else:
        cells += ["", f"3x{member.side}x{member.side}", "", "failed"]
    if isinstance(int8, dict):
        agreement = int8["agreement_db"]
        kept = sum(int8["kept"].values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(int8["kept"].items()))
        cells += [
            f"{int8['onnx_db']:.0f}, {'same' if agreement == float('inf') else f'{agreement:.0f}'}",
            f"{kept} of {int8['nodes']}" + (f": {kinds}" if kinds else ""),
        ]
    else:
        cells += ["failed", ""]
    if isinstance(falcon, dict):
        cells += [
            f"{falcon['replaced']} of {falcon['convolutions']}",
            f"{falcon['lossless']:.0e}",
            f"{falcon['share']:.0%}",
            f"{falcon['onnx_db']:.0f}, {falcon['tflite_db']:.0f}",
        ]
    else:
        cells += ["nothing is cheaper" if falcon is None else "failed", "", "", ""]
    return f"| {' | '.join(cells)} |\n"


def _foot(members, found: dict) -> str:
    """How many there are, how many of each stage did it, and what the others said."""
    ours = [found[member.name] for member in members]
    ran = {stage: sum(not isinstance(each[stage], str) for each in ours) for stage in ("fp32", "int8", "falcon")}
    text = (
        f"\n{len(members)} networks of {len({member.family for member in members})} families: {ran['fp32']} convert in "
        f"float32, {ran['int8']} in int8, {ran['falcon']} compress or have nothing to compress.\n"
    )
    failed = [(each["name"], stage, each[stage]) for each in ours for stage in ran if isinstance(each[stage], str)]
    return text + "".join(f"\n{name}, {stage}: {problem}\n" for name, stage, problem in failed)


if __name__ == "__main__":
    main()
