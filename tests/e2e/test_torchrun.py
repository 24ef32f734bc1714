"""train and compress by two processes that torchrun starts: one bundle, said once."""

import json
import subprocess
import sys

import pytest

from falcon_edge.bundle import open_bundle

pytestmark = pytest.mark.slow
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "falcon_edge"]


def run(folder, *words):
    return subprocess.run([*TORCHRUN, *words], cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("torchrun")


@pytest.fixture(scope="module")
def trained(folder):
    words = ["train", "vgg8", "--width", "0.25", "--data", "sample", "--recipe", "short", "--epochs", "2", "-o", "net"]
    return run(folder, *words, "--curves", "curves", "--json")


def test_one_bundle_is_written_and_said_once(trained, folder):
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["lineage"]["steps"][0]["options"]["epochs"] == 2
    assert trained.stderr.count("epoch 2/2: loss") == 1
    assert "Warning" not in trained.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["curves", "net.falcon"]
    assert open_bundle(folder / "net.falcon").manifest.quality[0].value > 0.3  # one in ten is chance
    assert len((folder / "curves" / "metrics.csv").read_text().splitlines()) == 4


def test_the_bundle_is_compressed_and_tuned(trained, folder):
    done = run(
        folder, "compress", "net.falcon", "--data", "sample", "--rank", "1", "--finetune-epochs", "1", "-o", "k1"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("compressed") == 1
    assert open_bundle(folder / "k1.falcon").manifest.lineage.parent.name == "net"


def test_a_refusal_is_one_line_and_the_others_end(trained, folder):
    done = run(folder, "train", "vgg8", "--data", "sample", "--epochs", "1", "-o", "net")
    assert done.returncode != 0
    assert done.stderr.count("error: net.falcon: exists already") == 1
