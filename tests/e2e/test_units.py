"""Units from the command line: trained with a teacher, exported, measured, inspected, compressed."""

import shutil

import pytest

WORDS = "--width 0.25 --data stripes.npz --epochs 1 --batch-size 32 --lr 0.05"


@pytest.fixture(scope="module")
def folder(flow, tmp_path_factory):
    """The trained standard network, and its data."""
    folder = tmp_path_factory.mktemp("units")
    shutil.copy(flow.folder / "stripes.npz", folder)
    shutil.copytree(flow.folder / "standard.falcon", folder / "standard.falcon")
    return folder


def test_a_unit_goes_the_whole_way(warm, folder):
    made = warm(f"train vgg8 --unit shuffle --groups 2 --teacher standard.falcon {WORDS} -o net --json", folder)
    assert made.code == 0, made.err
    unit = made.document["architecture"]["unit"]
    assert (unit["name"], unit["options"], len(unit["layers"])) == ("shuffle", {"groups": 2}, 5)
    assert made.document["lineage"]["steps"][0]["options"]["teacher"]["name"] == "standard"
    words = "--target onnx --target tflite --precision fp32 --precision int8 --data stripes.npz --accept-loss"
    done = warm(f"export net.falcon {words} --json", folder)
    assert done.code == 0, done.err
    assert len(done.document["exports"]) == 4
    measured = warm(
        "bench net.falcon --runs 3 --seconds 0 --warm-up 0 --processes 1 --every 0 -o results.json --json", folder
    )
    assert measured.code == 0, measured.err
    assert [bool(entry["bursts"]) for entry in measured.document["entries"]] == [True] * 4
    inspected = warm("inspect net.falcon/exports/model.fp32.onnx --json", folder)
    assert inspected.document["macs"] == made.document["macs"]
    refused = warm("compress net.falcon --rank 1 -o small", folder)
    assert refused.code == 2
    assert "no convolution that FALCON makes cheaper" in refused.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("vgg8 --unit vit", "vit: no unit of this name; there are dsconv, mobilev2, shuffle"),
        ("vgg8 --unit dsconv --groups 2", "--groups is not for dsconv, which has no options"),
        ("vgg8 --unit mobilev2 --expansion 99", "--expansion 99: lies in 1..16"),
        ("vgg8 --rank 2", "--rank goes with --unit"),
        ("vgg8 --temperature 2", "--temperature and --distillation go with --teacher"),
        ("vgg8 --teacher nothing.falcon", "nothing.falcon"),
        ("standard.falcon --unit dsconv", "standard.falcon: has its layers; a --unit is put into a network"),
        ("net.onnx --unit dsconv", "net.onnx: has its layers; a --unit is put into a network"),
    ],
)
def test_what_cannot_be_is_one_line(warm, folder, words, said):
    model = words.split()[0]
    width = "--width 0.25" if model == "vgg8" else ""
    done = warm(f"train {words} {width} --data stripes.npz --epochs 1 -o refused", folder)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert len(done.err.strip().splitlines()) == 1
