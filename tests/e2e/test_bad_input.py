"""Whatever is wrong with what the user gives: one line on stderr, exit 2, and nothing is touched.

A new case is a new row of CASES: the command, and what its line must say. `workplace` holds what the commands name.
"""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from program import listing

NETWORKS = """
import torch
from torch import nn

number = 3

def tiny(num_classes=3, in_channels=1):
    return nn.Sequential(nn.Conv2d(in_channels, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, num_classes))

def pointwise(num_classes=3, in_channels=1):
    return nn.Sequential(nn.Conv2d(in_channels, num_classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())

class Answering(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.body, self.answer = nn.Conv2d(1, 2, 3), answer

    def forward(self, image):
        return self.answer(self.body(image), image)


def choosing():
    return Answering(lambda x, image: x.flatten(1)[:, : 5 if image.any() else 4])


def elsewhere():
    return Answering(lambda x, image: (torch.zeros(1, 3, device="meta"), x))


def texts():
    return Answering(lambda x, image: {"map": x, "words": "text"})


def two_inputs():
    class Two(nn.Conv2d):
        def forward(self, image, mask):
            return super().forward(image)

    return Two(1, 2, 3)


def raises(outputs, targets):
    return {}["nothing"]


def no_number(outputs, targets):
    return {}


def features(in_channels=1):
    return nn.Conv2d(in_channels, 4, 3)

def broken(**choices):
    raise ValueError("no\\nway")

def no_network():
    return number
"""

TRAIN = "train vgg8 --width 0.25 --data stripes.npz --epochs 1"
COMPRESS = "compress standard.falcon --rank 1"
CLASSES = ("rows", "columns", "noise")
BENCH = "bench good.onnx --runs 1 --seconds 0 --warm-up 0 --ticks 4 --processes 1 --rounds 1"

CASES = [
    # data
    ("train vgg8 --data missing.npz -o out", "missing.npz: no such data set"),
    ("train vgg8 --data truncated.npz -o out", "truncated.npz: not a readable .npz"),
    ("train vgg8 --data plain.txt -o out", "plain.txt: a data set is a folder"),
    ("train vgg8 --data folder -o out", "folder: no data set found"),
    ("train vgg8 --data broken-images -o out", "broken-images/train/columns/1.png: a broken image"),
    ("train vgg8 --data test-only.npz -o out", "has no train split"),
    ("pack vgg8 --data broken-images -o out", "broken-images/train/columns/1.png: a broken image"),
    ("pack vgg8 --data missing -o out", "missing: no such data set"),
    (f"{COMPRESS} --data missing.npz -o out", "missing.npz: no such data set"),
    (f"{COMPRESS} --data broken-images -o out", "1.png: a broken image"),
    (f"{COMPRESS} --data broken-images -o new/folder/out", "1.png: a broken image"),
    (f"{COMPRESS} --data colour.npz -o out", "does not fit"),
    (f"{COMPRESS} --data sample -o out", "standard.falcon: has 3 classes, but the data has 10"),
    (f"{COMPRESS} --data sample --finetune-epochs 1 -o out", "standard.falcon: has 3 classes, but the data has 10"),
    (f"{BENCH} --data missing.npz", "missing.npz: no such data set"),
    (f"{BENCH} --data sample", "good.onnx: has 3 classes, but the data has 10"),
    (f"{BENCH} --data train-only.npz", "has no test split"),
    ("bench bare.onnx --data stripes.npz", "bare.onnx: carries no card"),
    # classes
    (
        f"{COMPRESS} --data animals.npz -o out",
        "standard.falcon: the classes of the data do not match: 'cat', 'dog', 'emu' are none of 'rows', 'columns'",
    ),
    ("train standard.falcon --data animals.npz --epochs 1 -o out", "--class-map says which is which"),
    (
        "export standard.falcon --precision int8 --data animals.npz",
        "standard.falcon: the classes of the data do not match: 'cat', 'dog', 'emu' are none of 'rows'",
    ),
    (
        "bench standard.falcon --data animals.npz",
        "standard.falcon: the classes of the data do not match: 'cat', 'dog', 'emu' are none of 'rows'",
    ),
    (
        f"{BENCH} --data animals.npz",
        "good.onnx: the classes of the data do not match: 'cat', 'dog', 'emu' are none of 'rows', 'columns', 'noise'",
    ),
    ("check good.onnx --baseline good.onnx --data animals.npz", "'cat', 'dog', 'emu' are none of 'rows'"),
    ("bench standard.falcon --data animals.npz --class-map missing.json", "missing.json: cannot be read"),
    ("bench standard.falcon --data animals.npz --class-map plain.txt", "plain.txt: not JSON"),
    ("bench standard.falcon --data animals.npz --class-map wrong.json", "the class map names 'fox', which is no class"),
    *(
        (f"{words} --class-map wrong.json", "--class-map says what classes of --data are, which is not there")
        for words in (
            "pack vgg8 -o out",
            f"{COMPRESS} -o out",
            f"{COMPRESS} --dry-run",
            "export standard.falcon",
            "bench standard.falcon",
            "check good.onnx --baseline good.onnx",
        )
    ),
    # networks
    ("train missing --data stripes.npz -o out", "missing: not a bundle and no known network; use vgg19"),
    ("pack missing -o out", "missing: not a bundle and no known network"),
    ("compress missing --rank 1 -o out", "missing: not a bundle and no known network"),
    ("pack missing:net -o out", "No module named 'missing'"),
    ("pack nets:missing -o out", "no attribute 'missing'"),
    ("pack nets:number -o out", "nets:number is not a function"),
    ("pack nets:broken -o out", "nets:broken(in_channels=3) cannot be built: ValueError: no"),
    ("pack nets:no_network -o out", "nets:no_network returned a int"),
    *(
        (
            f"{verb} nets:tiny --model-arg depth=3 -o out",
            "nets:tiny has no argument depth; it has num_classes, in_channels",
        )
        for verb in ("pack", "compress --rank 1", "train --data stripes.npz")
    ),
    ("pack vgg8 --model-arg depth=3 -o out", "vgg8: --model-arg is for module:function"),
    ("pack nets:tiny --model-arg depth -o out", "--model-arg depth: write NAME=VALUE, as in depth=3"),
    ("compress standard.falcon --rank 1 --model-arg depth=3 -o out", "a bundle has its own weights"),
    ("pack bare.onnx --model-arg depth=3 -o out", "bare.onnx: has its own weights and input"),
    (
        "train nets:features --data stripes.npz -o out",
        "gives output (4, 10, 10); our training is for one row of classes",
    ),
    (
        "pack nets:features --mean 0.5 --std 0.5 --data stripes.npz -o out",
        "say by --metric how they are judged: top1, top5, miou",
    ),
    (
        "pack nets:features --mean 0.5 --std 0.5 --data stripes.npz --metric nets:raises -o out",
        "the metric raised KeyError: 'nothing'",
    ),
    (
        "pack nets:features --mean 0.5 --std 0.5 --data stripes.npz --metric nets:no_number -o out",
        "gives a dict, not a number",
    ),
    (
        "pack nets:features --mean 0.5 --std 0.5 --data stripes.npz --metric best -o out",
        "best: no such metric; there are top1",
    ),
    ("pack nets:features --metric miou --input 1x12x12 -o out", "--metric miou: is measured on --data DATA"),
    ("pack nets:two_inputs --input 1x12x12 -o out", "nets:two_inputs takes 2 inputs (image, mask); one image is what"),
    ("pack nets:choosing --input 1x12x12 -o out", "for another; give outputs of one shape (what chooses among them"),
    ("pack nets:elsewhere --input 1x12x12 -o out", "output.0: is on the device meta, the images on cpu"),
    ("pack nets:texts --input 1x12x12 -o out", "nets:texts gives a str as words; a network's outputs are tensors"),
    ("export standard.falcon --head-only /nowhere -q", "has no node /nowhere; there are"),
    ("pack timm:missing -o out", "timm:missing"),
    ("pack plain.txt -o out", "plain.txt: a file or folder, but not a bundle"),
    ("compress nets:pointwise --input 1x12x12 --rank 1 -o out", "nothing to compress"),
    # its input and classes
    ("train nets:tiny --data stripes.npz --input 12x12 -o out", "--input 12x12: write channels x height x width"),
    ("train nets:tiny --data stripes.npz --input 2x12x12 -o out", "an input of 2 cannot be made"),
    ("train vgg8 --data stripes.npz --input 1x2x2 -o out", "vgg8 does not take an input of 1x2x2"),
    (f"{TRAIN} --num-classes 5 -o out", "vgg8 has 5 classes, but the data has 3"),
    ("pack nets:tiny --data stripes.npz --num-classes 5 -o out", "nets:tiny has 5 classes, but the data has 3"),
    (f"{COMPRESS} --num-classes 5 -o out", "standard.falcon"),
    (f"{COMPRESS} --weights fitting.pt -o out", "standard.falcon"),
    (f"{TRAIN} --mean 0.5 -o out", "--mean and --std go together"),
    (f"{TRAIN} --mean a --std 1 -o out", "--mean a: write numbers"),
    (f"{TRAIN} --mean 0.5,0.5 --std 1,1 -o out", "--mean and --std need 1 number"),
    (f"{TRAIN} --mean nan --std 1 -o out", "--mean"),
    (f"{TRAIN} --mean 0.5 --std 0 -o out", "std above 0"),
    (f"{TRAIN} --lr 0 -o out", "learning rate"),
    (f"{TRAIN} --lr nan -o out", "learning rate"),
    # weights
    ("pack nets:tiny --input 1x12x12 --weights missing.pt -o out", "missing.pt: no such weights file"),
    ("pack nets:tiny --input 1x12x12 --weights folder -o out", "folder: a folder; name the file of weights in it"),
    ("pack nets:tiny --input 1x12x12 --weights plain.pt -o out", "plain.pt: not a weights file"),
    ("pack nets:tiny --input 1x12x12 --weights plain.safetensors -o out", "plain.safetensors: not a weights file"),
    ("pack nets:tiny --input 1x12x12 --weights truncated.pt -o out", "truncated.pt: not a weights file"),
    ("pack nets:tiny --input 1x12x12 --weights code.pt -o out", "code.pt: not a weights file"),
    ("pack nets:tiny --input 1x12x12 --weights list.pt -o out", "list.pt: holds no state dict"),
    ("pack nets:tiny --input 1x12x12 --weights other.pt -o out", "other.pt: these weights do not fit"),
    ("pack vgg8 --weights standard.falcon/weights.safetensors -o out", "features.0.weight is (8, 1, 3, 3), not"),
    ("convert net.onnx --data stripes.npz -o out.tflite", "--data is what int8 is calibrated with, and fp32 is not"),
    # ranks and plans
    ("compress standard.falcon -o out", "give either --rank, --target-macs, --plan or a budget"),
    (
        "compress standard.falcon --rank 1 --plan foreign.json -o out",
        "give either --rank, --target-macs, --plan or a budget",
    ),
    ("compress standard.falcon --rank 1", "name the bundle to write with -o"),
    ("compress standard.falcon --rank 0 -o out", "rank 0"),
    ("compress standard.falcon --rank -1 -o out", "rank -1"),
    ("compress standard.falcon --rank 10 -o out", "rank 10 is above the lossless rank of every layer (at most 9)"),
    ("compress standard.falcon --rank 0 --dry-run", "rank 0"),
    ("compress falcon.falcon --rank 1 -o out", "falcon.falcon: is compressed already"),
    ("compress standard.falcon --plan missing.json -o out", "missing.json: cannot be read"),
    ("compress standard.falcon --plan folder -o out", "folder: cannot be read"),
    ("compress standard.falcon --plan plain.txt -o out", "plain.txt: not a valid plan"),
    ("compress standard.falcon --plan results.json -o out", "results.json: a plan of version 6"),
    ("compress standard.falcon --plan foreign.json -o out", "the plan names layer1.0.conv1"),
    ("compress standard.falcon --plan standard.falcon/plan.json -o out", "changes no layer"),
    (f"{COMPRESS} --finetune-epochs 1 -o out", "fine-tuning needs --data"),
    (f"{COMPRESS} --init whitened -o out", "--init whitened needs --data"),
    (f"{COMPRESS} --data stripes.npz --finetune-epochs 1 --distillation 2 -o out", "distillation weight lies in 0..1"),
    # bundles
    ("pack standard.falcon -o out", "standard.falcon: is a bundle already"),
    ("train missing.falcon --data stripes.npz -o out", "missing.falcon: no such bundle"),
    ("compress missing.falcon --rank 1 -o out", "missing.falcon: no such bundle"),
    ("compress flipped.falcon --rank 1 -o out", "flipped.falcon: weights.safetensors does not match SHA256SUMS"),
    ("export", "name the bundle: this folder holds 5"),
    ("export missing.falcon", "missing.falcon: no such bundle"),
    ("export standard", "standard: no such bundle; there is standard.falcon"),
    ("compress standard --rank 1 -o out", "standard: no such bundle; there is standard.falcon"),
    ("export flipped.falcon", "flipped.falcon: weights.safetensors does not match SHA256SUMS"),
    ("export lacking.falcon", "lacking.falcon"),
    ("export folder", "folder: not a bundle"),
    ("export truncated.onnx", "truncated.onnx: not an ONNX model"),
    ("export standard.falcon -o other", "standard.falcon: gets its files where it is"),
    ("bench flipped.falcon", "flipped.falcon: weights.safetensors does not match SHA256SUMS"),
    ("bench unexported.falcon", "unexported.falcon: has no exported files"),
    ("inspect flipped.falcon", "flipped.falcon: weights.safetensors does not match SHA256SUMS"),
    # model files
    ("bench missing.onnx", "missing.onnx: no such model file"),
    ("bench truncated.onnx", "truncated.onnx: not an ONNX model"),
    ("bench truncated.tflite", "truncated.tflite: a damaged TFLite model"),
    ("bench good.onnx truncated.tflite", "truncated.tflite: a damaged TFLite model"),
    ("bench empty.onnx", "empty.onnx: not an ONNX model"),
    ("bench empty.tflite", "empty.tflite: not a TFLite model"),
    ("bench plain.txt", "plain.txt: neither .onnx nor .tflite"),
    ("bench folder", "folder"),
    ("inspect missing.onnx", "missing.onnx: no such model file"),
    ("inspect truncated.onnx", "truncated.onnx: not an ONNX model"),
    ("inspect truncated.tflite", "truncated.tflite: a damaged TFLite model"),
    ("inspect plain.txt", "plain.txt: neither .onnx nor .tflite"),
    ("inspect folder", "folder"),
    # what to measure, and results
    (f"{BENCH} --runtime missing", "missing: no such runtime; known are onnxruntime (ort), litert (tflite)"),
    (f"{BENCH} --runtime litert", "nothing to measure"),
    (f"{BENCH} --target missing", "nothing to measure"),
    (f"{BENCH} --device missing", "missing: no such device"),
    *(
        (f"{verb} {words}", said)
        for verb in ("compare", "report")
        for words, said in (
            ("missing.json", "missing.json: cannot be read"),
            ("plain.txt", "plain.txt: not a results file"),
            ("folder", "folder: cannot be read"),
            ("foreign.json", "foreign.json"),
            ("results.json plain.txt", "plain.txt: not a results file"),
            ("later.json", "later.json: results of version 99; this program reads up to 6"),
            ("results.json later.json", "later.json: results of version 99"),
            ("nan.json", "nan.json: not a valid results file"),
            ("empty.json", "nothing was measured: these results have no samples"),
            ("unsampled.json", "nothing was measured: these results have no samples"),
            ("results.json --baseline missing", "no model is called missing; there are falcon, standard"),
            ("unrelated.json --baseline standard", "standard is no baseline for falcon: it is the standard of other"),
        )
    ),
    ("report results.json -o folder", "folder: cannot be written"),
    ("report results.json -o missing/report.html", "missing/report.html: cannot be written"),
    # outputs that cannot be written, also by root
    (f"{TRAIN} -o plain.txt/out", "plain.txt/out.falcon: cannot be written"),
    (f"{TRAIN} -o occupied.falcon", "occupied.falcon: exists and is not a bundle"),
    (f"{TRAIN} -o /proc/out", "/proc/out.falcon: cannot be written"),
    ("pack vgg8 -o plain.txt/out", "plain.txt/out.falcon: cannot be written"),
    ("pack vgg8 -o .", "name the bundle"),
    (f"{COMPRESS} -o plain.txt/out", "plain.txt/out.falcon: cannot be written"),
    (f"{COMPRESS} -o occupied", "occupied.falcon: exists and is not a bundle"),
    (f"{COMPRESS} --data stripes.npz --finetune-epochs 9 -o plain.txt/out", "plain.txt/out.falcon: cannot be written"),
    (f"{BENCH} -o plain.txt/results.json", "plain.txt/results.json: cannot be written"),
    (f"{BENCH} -o folder", "folder: cannot be written"),
    (f"{BENCH} -o missing/results.json", "missing/results.json: cannot be written"),
    ("demo -o plain.txt", "plain.txt/results.json: cannot be written"),
]
if os.geteuid() != 0:
    CASES += [(f"{TRAIN} -o locked/out", "locked/out.falcon: cannot be written")]


@pytest.fixture(scope="module")
def workplace(flow, warm, tmp_path_factory):
    """A folder with good and bad files of every kind."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("standard.falcon", "falcon.falcon"):
        shutil.copytree(flow.folder / name, folder / name)
    for name in ("stripes.npz", "results.json"):
        shutil.copy(flow.folder / name, folder)
    (folder / "nets.py").write_text(NETWORKS)
    for name in ("plain.txt", "plain.pt", "plain.safetensors", "occupied.falcon"):
        (folder / name).write_text("neither weights nor results nor a bundle\n")
    (folder / "folder").mkdir()
    (folder / "locked").mkdir(mode=0o555)
    assert warm("pack vgg8 --width 0.25 -o unexported", folder).code == 0
    _write_bundles(folder)
    _write_models(folder)
    _write_weights(folder)
    _write_data(folder)
    _write_results(folder)
    plan = json.loads((folder / "falcon.falcon/plan.json").read_bytes())
    plan["layers"][1]["name"] = "layer1.0.conv1"  # as a ResNet has it
    (folder / "foreign.json").write_text(json.dumps(plan))
    return folder


def _write_bundles(folder):
    for name in ("flipped", "lacking"):
        shutil.copytree(folder / "standard.falcon", folder / f"{name}.falcon")
    weights = folder / "flipped.falcon/weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    (folder / "lacking.falcon/golden/00.input.bin").unlink()


def _write_results(folder):
    good = (folder / "results.json").read_text()

    def write(name, change):
        document = json.loads(good)
        change(document, document["entries"])
        (folder / f"{name}.json").write_text(json.dumps(document))

    def unsample(_, entries):
        for entry in entries:
            entry |= {"bursts": [], "summary": None, "intervals": None, "quality": []}

    def unrelate(_, entries):
        for entry in entries:
            if entry["model"]["role"] == "compressed":
                entry["model"]["parent"] = "another"

    write("later", lambda document, entries: document.update(schema_version=99))
    write("nan", lambda document, entries: entries[0]["summary"].update(p50_ns=float("nan")))
    write("empty", lambda document, entries: entries.clear())
    write("unsampled", unsample)
    write("unrelated", unrelate)


def _write_models(folder):
    import onnx

    for kind in ("onnx", "tflite"):
        data = (folder / f"standard.falcon/exports/model.fp32.{kind}").read_bytes()
        (folder / f"good.{kind}").write_bytes(data)
        (folder / f"truncated.{kind}").write_bytes(data[: len(data) // 2])
        (folder / f"empty.{kind}").write_bytes(b"")
    bare = onnx.load(folder / "good.onnx")
    del bare.metadata_props[:]
    onnx.save(bare, folder / "bare.onnx")


def _write_weights(folder):
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(folder / "executed"),)

    torch.save(Code(), folder / "code.pt")
    torch.save([1, 2, 3], folder / "list.pt")
    torch.save({"0.weight": torch.zeros(3)}, folder / "other.pt")
    fitting = {"0.weight": (8, 1, 3, 3), "0.bias": (8,), "4.weight": (3, 8), "4.bias": (3,)}
    torch.save({name: torch.zeros(shape) for name, shape in fitting.items()}, folder / "fitting.pt")
    data = (folder / "fitting.pt").read_bytes()
    (folder / "truncated.pt").write_bytes(data[: len(data) // 2])


def _write_data(folder):
    data = (folder / "stripes.npz").read_bytes()
    (folder / "truncated.npz").write_bytes(data[: len(data) // 2])
    random = np.random.default_rng(0)
    labels = np.arange(9) % 3
    colour = {f"x_{split}": random.integers(0, 255, (9, 12, 12, 3), np.uint8) for split in ("train", "test")}
    np.savez(folder / "colour.npz", y_train=labels, y_test=labels, labels=np.array(CLASSES), **colour)
    grey = random.integers(0, 255, (9, 12, 12), np.uint8)
    animals = {
        f"{axis}_{split}": colour[f"x_{split}"][..., 0] if axis == "x" else labels
        for split in ("train", "test")
        for axis in "xy"
    }
    np.savez(folder / "animals.npz", labels=np.array(["cat", "dog", "emu"]), **animals)
    (folder / "wrong.json").write_text('{"fox": 1}')
    np.savez(folder / "train-only.npz", x_train=grey, y_train=labels)
    np.savez(folder / "test-only.npz", x_test=grey, y_test=labels)
    for split in ("train", "test"):
        for index, image in enumerate(grey):
            path = folder / "broken-images" / split / CLASSES[index // 3] / f"{index % 3}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    broken = folder / "broken-images/train/columns/1.png"
    broken.write_bytes(broken.read_bytes()[:60])


@pytest.mark.parametrize(("command", "said"), CASES, ids=[command for command, _ in CASES])
def test_is_refused_in_one_line(warm, workplace, command, said):
    before = listing(workplace), listing(warm.temporary)
    done = warm(command, workplace)
    lines = done.err.splitlines()
    assert (done.code, len(lines), done.out) == (2, 1, ""), done
    assert lines[0].startswith("error: ")
    assert said in lines[0]
    assert "Traceback" not in lines[0]
    assert (listing(workplace), listing(warm.temporary)) == before


def test_the_good_files_are_good(warm, workplace, tmp_path):
    """So that the refusals above are for what is wrong in them."""
    shutil.copy(workplace / "nets.py", tmp_path)
    for command in (
        f"pack nets:tiny --input 1x12x12 --weights {workplace / 'fitting.pt'} -o packed",
        f"pack nets:tiny --data {workplace / 'colour.npz'} -o coloured",
        f"inspect {workplace / 'standard.falcon'}",
        f"inspect {workplace / 'good.onnx'}",
        f"inspect {workplace / 'good.tflite'}",
        f"inspect {workplace / 'bare.onnx'}",
        f"compare {workplace / 'results.json'}",
        f"report {workplace / 'results.json'}",
        f"compress {workplace / 'standard.falcon'} --rank 9 -o lossless",
    ):
        assert warm(command, tmp_path).code == 0, command
