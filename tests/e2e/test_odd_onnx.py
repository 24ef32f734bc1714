""".onnx files as MODEL, by the command line: networks that are odd are taken, what is none is refused in one line."""

import json

import numpy as np
import odd_onnx
import pytest
from PIL import Image
from program import listing

VERBS = {
    "pack": "pack {file} -o out",
    "compress": "compress {file} --rank 2 -o out",
    "tune": "compress {file} --data photos --rank 2 --finetune-epochs 1 --batch-size 4 -o out",
    "export": "export {file} --target tflite -o out",
    "convert": "convert {file} -o out.tflite",
    "convert to int8": "convert {file} -o out.tflite --precision int8 --data photos --accept-loss",
    "adopt": "adopt {file} --weights weights.safetensors -o out",
}
LOOKED_AT = {
    "inspect": "inspect {file}",
    "bench": "bench {file} --runs 1 --seconds 0 --warm-up 0 --every 0 --processes 1 --rounds 1",
}
REFUSED = {name: (made, said) for name, made, said in odd_onnx.refused()}
NETWORKS = dict(odd_onnx.networks())
# Of files like these inspect and bench say what pack says.
NO_MODELS = ("empty", "text", "half", "nothing", "elsewhere 0", "claim 0", "cycle")
FEW = ("two heads", "channels last")


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(24):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    return tmp_path


def refusal(warm, place, command, name):
    before = listing(place), listing(warm.temporary)
    done = warm(command.format(file=f"'{name}.onnx'"), place)
    assert (done.code, len(done.err.splitlines()), done.out) == (2, 1, ""), done
    assert done.err.startswith(f"error: {name}.onnx: ")
    assert (listing(place), listing(warm.temporary)) == before
    return done.err


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_network_of_ours_is_refused_in_one_line(warm, place, name):
    made, said = REFUSED[name]
    odd_onnx.written(made, place / f"{name}.onnx")
    assert said in refusal(warm, place, VERBS["convert"], name)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_every_verb_refuses_it(warm, place, name):
    made, said = REFUSED[name]
    odd_onnx.written(made, place / f"{name}.onnx")
    for command in VERBS.values():
        assert said in refusal(warm, place, command, name)


@pytest.mark.parametrize("name", NO_MODELS)
def test_what_is_no_model_is_not_looked_at_either(warm, place, name):
    made, said = REFUSED[name]
    odd_onnx.written(made, place / f"{name}.onnx")
    assert said in refusal(warm, place, LOOKED_AT["inspect"], name)


def test_a_file_of_two_inputs_is_not_measured(warm, place):
    made, said = REFUSED["two"]
    odd_onnx.written(made, place / "two.onnx")
    assert said in refusal(warm, place, LOOKED_AT["bench"], "two")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FEW else pytest.mark.slow) for name in NETWORKS]
)
def test_an_odd_network_is_converted_and_tuned_on_a_folder_of_images(warm, place, name):
    odd_onnx.written(NETWORKS[name], place / "net.onnx")
    for verb in ("convert", "tune"):
        done = warm(VERBS[verb].format(file="net.onnx"), place)
        assert done.code == 0, done
    lines = (place / "out.falcon" / "training.jsonl").read_text().splitlines()
    manifest = json.loads((place / "out.falcon" / "manifest.json").read_text())
    assert [json.loads(line)["attempt"] for line in lines[:2]] == [0, 1]
    assert manifest["lineage"]["steps"][-1]["options"]["labels"] == "none: the network's own answers"
    assert all(quality["split"] == "test" for quality in manifest["quality"])


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_an_odd_network_goes_through_every_verb(warm, place, name):
    odd_onnx.written(NETWORKS[name], place / "net.onnx")
    for verb in ("pack", "compress", "tune", "export", "convert", "convert to int8"):
        done = warm(f"{VERBS[verb]} --force".format(file="net.onnx"), place)
        assert done.code == 0, done
    for command in LOOKED_AT.values():
        assert warm(command.format(file="net.onnx"), place).code == 0
