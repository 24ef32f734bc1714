"""Make docs/zoo.md: what becomes of the classifiers of timm and torchvision.

    pip install -e ".[zoo]"
    python tools/make_zoo.py [--results FILE] [--stages fp32 fp16 int8 falcon]

It takes half an hour. Each network has a process of its own, so that none can cost the others. FILE takes one line of
JSON for each as it is done, and a network whose stages it has is not examined again. What other stages found stays as
the page has it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 600
HEAD = """# The zoo

Classifiers of timm {timm} and torchvision {torchvision}, of as many families as there are, exported to ONNX and emitted
as TFLite in float32, float16 and int8 by this program, and compressed with FALCON. The page is made by
`python tools/make_zoo.py`, at the small inputs that the tests use, not at those of the authors. Weights are random,
batch normalisation has the statistics of data, and every network has {classes} classes. {tried} images of noise are
compared.

| column | says |
|---|---|
| ops | operators in the ONNX file, in the TFLite file, TRANSPOSE among the latter |
| fp32 | SNR of the logits against torch: ONNX Runtime, LiteRT with XNNPACK |
| fp16 | SNR of LiteRT's logits against ONNX Runtime's, with the weights rounded to float16 (whether the file is right: 90 are asked) and without (what float16 loses); size of the file, as a share of float32's |
| int8 | SNR of ONNX Runtime's int8 against its float32 (in brackets that of a network whose every value is rounded by a scale of its own, which no runtime computes), of LiteRT's int8 against ONNX Runtime's int8 ("same": every bit); nodes that stay in float because one of the runtimes has no int8 kernel for them |
| FALCON | convolutions replaced, of how many; the largest difference of the logits at lossless rank, relative to the largest logit; at rank 2 the parameters that are left, and SNR of ONNX Runtime and LiteRT against torch |

Of random weights, int8's SNR is no measure of a trained network's accuracy, and rank 2 without fine-tuning is no
classifier: the table says that both run, and how exactly. SNR differs by a few decibels from machine to machine.

A softmax over the branches of a block (SKNet, ResNeSt) is emitted as arithmetic, e / sum(e): TFLite's SOFTMAX goes over
the last axis only, and two transposes would be needed. "Nothing is cheaper" stands where no convolution becomes FALCON:
each is pointwise, depthwise, of a class of its own (weight-standardised, padded as TensorFlow does), or its stride is
so large that the pointwise part at the input's size would cost more. `falcon-edge compress` says so, and why.

"""  # noqa: E501
# The columns that each stage fills, the network's own first.
COLUMNS = {
    "": ("network", "family"),
    "fp32": ("parameters", "input", "ops", "fp32, dB"),
    "fp16": ("fp16, dB", "fp16 size"),
    "int8": ("int8, dB", "float nodes"),
    "falcon": ("FALCON", "lossless", "rank 2", "rank 2, dB"),
}
STAGES = tuple(COLUMNS)[1:]


def main() -> None:
    """Examine what is missing, then write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
    import torch
    import zoo

    if given.one:
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(zoo.examine(given.one, folder, given.stages)))
        return
    known: dict[str, dict] = {name: {} for name in zoo.MEMBERS}
    if given.results and given.results.exists():
        for found in map(json.loads, given.results.read_text().splitlines()):
            known[found["name"]].update(found)
    for name in zoo.MEMBERS:
        lacking = [stage for stage in given.stages if stage not in known[name]]
        if lacking:
            found = _examined(name, lacking)
            known[name].update(found)
            print(json.dumps(found), flush=True)
            if given.results:
                with given.results.open("a") as file:
                    file.write(json.dumps(found) + "\n")
    page = ROOT / "docs" / "zoo.md"
    table = _table(page.read_text())
    for member in zoo.ZOO:
        cells = {"network": member.name.replace(":", ": "), "family": member.family}
        for stage in given.stages:
            cells |= dict(zip(COLUMNS[stage], _cells(stage, member, known[member.name][stage]), strict=True))
        table[member.name] = table.get(member.name, {}) | cells
    rows = [table[member.name] for member in zoo.ZOO]
    columns = [column for stage in COLUMNS.values() for column in stage]
    lines = [columns, ["---"] * len(columns), *([row.get(column, "") for column in columns] for row in rows)]
    head = HEAD.format(timm=version("timm"), torchvision=version("torchvision"), classes=zoo.CLASSES, tried=zoo.TRIED)
    body = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    page.write_text(head + body + _foot(rows) + _problems(given.stages, known))


def _table(page: str) -> dict[str, dict[str, str]]:
    """The table of a page: by network, the cell of every column."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    first = next((place for place, cells in enumerate(lines) if cells[0] == "network"), len(lines))
    rows = (dict(zip(lines[first], cells, strict=True)) for cells in lines[first + 2 :])
    return {row["network"].replace(": ", ":"): row for row in rows}


def _examined(name: str, stages: Sequence[str]) -> dict:
    """What a process of its own finds of a network."""
    command = [sys.executable, __file__, "--one", name, "--stages", *stages]
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
    return {"name": name, **dict.fromkeys(stages, problem)}


def _cells(stage: str, member, found) -> list[str]:
    """What a stage found, in its columns; a text is the problem that it had."""
    empty = [""] * (len(COLUMNS[stage]) - 1)
    if isinstance(found, str):
        return ["failed", *empty]
    if stage == "fp32":
        moves, kilobytes = found["tflite"].get("TRANSPOSE", 0), found["bytes_transposed"] / 1e3
        operators = f"{sum(found['onnx'].values())} / {sum(found['tflite'].values())}"
        return [
            f"{found['parameters'] / 1e6:.1f} M",
            f"3x{member.side}x{member.side}",
            f"{operators} / {f'{moves} ({kilobytes:.0f} kB)' if moves else 0}",
            f"{found['onnx_db']:.0f}, {found['tflite_db']:.0f}",
        ]
    if stage == "fp16":
        return [f"{found['rounded_db']:.0f}, {found['onnx_db']:.0f}", f"{found['share']:.0%}"]
    if stage == "int8":
        agreement = "same" if found["agreement_db"] == float("inf") else f"{found['agreement_db']:.0f}"
        kept = sum(found["kept"].values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found["kept"].items()))
        return [
            f"{found['onnx_db']:.0f} ({found['alone_db']:.0f}), {agreement}",
            f"{kept} of {found['nodes']}" + (f": {kinds}" if kinds else ""),
        ]
    if found is None:
        return ["nothing is cheaper", *empty]
    return [
        f"{found['replaced']} of {found['convolutions']}",
        f"{found['lossless']:.0e}",
        f"{found['share']:.0%}",
        f"{found['onnx_db']:.0f}, {found['tflite_db']:.0f}",
    ]


def _foot(rows: Sequence[Mapping[str, str]]) -> str:
    """How many there are, and how many of each stage did it."""
    ran = {stage: sum(row.get(COLUMNS[stage][0], "") not in ("", "failed") for row in rows) for stage in STAGES}
    return (
        f"\n{len(rows)} networks of {len({row['family'] for row in rows})} families: {ran['fp32']} convert in float32, "
        f"{ran['fp16']} in float16, {ran['int8']} in int8, {ran['falcon']} compress or have nothing to compress.\n"
    )


def _problems(stages: Sequence[str], found: dict[str, dict]) -> str:
    """What the others said."""
    failed = [(name, stage, each[stage]) for name, each in found.items() for stage in stages]
    return "".join(f"\n{name}, {stage}: {problem}\n" for name, stage, problem in failed if isinstance(problem, str))


if __name__ == "__main__":
    main()
