"""The program on an emulated arm64: answers proven, counts compared, and no time anywhere."""

import json
import shutil
from pathlib import Path

import pytest
from arm64 import userland
from program import run

import falcon_edge
from runtime_bench.results import load

SAMPLE = Path(falcon_edge.__file__).parent / "data/sample"
KINDS = [f"{precision}.{target}" for precision in ("fp32", "int8") for target in ("onnx", "ort", "tflite")]
BENCH = "bench standard.falcon falcon.falcon --device arm64 --target tflite --data stripes.npz --samples 4"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A folder with the network that ships with us, exported to KINDS."""
    userland()
    folder = tmp_path_factory.mktemp("sample")
    shutil.copytree(SAMPLE / "vgg8.falcon", folder / "vgg8.falcon")
    targets = "--target onnx --target ort --target tflite"
    done = run(f"export vgg8.falcon {targets} --precision fp32 --precision int8 --data sample --samples 64", folder)
    assert done.code == 0, done
    return folder


@pytest.fixture(scope="module")
def counted(flow, warm, tmp_path_factory):
    """A folder like the flow's with the results of an emulated CPU beside it, and what the measurement said."""
    userland()
    folder = tmp_path_factory.mktemp("arm64")
    shutil.copytree(flow.folder, folder, dirs_exist_ok=True)
    return folder, warm(f"{BENCH} -o emulated.json", folder)


def test_bench_shows_counts_and_no_times(counted):
    folder, done = counted
    assert done.code == 0, done
    assert "cortex-a72, emulated by QEMU" in done.words
    assert "counts of one inference, no times" in done.words
    assert "instructions" in done.words
    assert not {"p50", "p90", "ms", "speedup"} & set(done.words.split())
    results = load(folder / "emulated.json")
    for entry in results.entries:
        assert entry.emulated
        assert f"{entry.counts.instructions / 1e6:.2f} M" in done.words
        assert (entry.summary, entry.load_ns) == (None, None)
        assert entry.agreement[0].within_tolerance
        assert entry.quality[0].samples == 4


def test_compare_puts_instructions_beside_each_other(counted, warm):
    folder, _ = counted
    done = warm("compare emulated.json --json", folder)
    assert done.code == 0, done
    standard, falcon = load(folder / "emulated.json").entries
    row = done.document[1]
    assert row["speedup"] is None
    assert row["instructions_ratio"] == standard.counts.instructions / falcon.counts.instructions > 1
    words = warm("compare emulated.json", folder).words
    assert "arm64:cortex-a72, emulated: instructions of one inference, no times" in words
    assert not {"p50", "ms", "speedup"} & set(words.split())


def test_compare_refuses_to_mix_counts_and_times(counted, warm):
    folder, _ = counted
    done = warm("compare emulated.json results.json", folder)
    assert done.code == 2
    assert "these results differ in machine" in done.err


def test_check_is_a_gate_on_counts(counted, warm):
    folder, _ = counted
    done = warm("check emulated.json --baseline emulated.json --json", folder)
    assert done.code == 0, done
    figures = [finding["figure"] for finding in done.document["findings"]]
    assert "instructions" in figures
    assert "latency" not in figures
    document = json.loads((folder / "emulated.json").read_text())
    for entry in document["entries"]:
        entry["counts"]["instructions"] = round(1.06 * entry["counts"]["instructions"])
    (folder / "more.json").write_text(json.dumps(document))
    done = warm("check more.json --baseline emulated.json", folder)
    assert done.code == 1
    assert "regression: instructions of standard" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--device arm64 --threads 2", "arm64:cortex-a72 is emulated, with one thread: leave --threads out"),
        ("--device arm64:max", "max: no such CPU; emulated are cortex-a53, cortex-a72, cortex-a76, neoverse-n1"),
    ],
)
def test_what_makes_no_sense_on_it_is_refused(counted, warm, options, said):
    folder, _ = counted
    done = warm(f"bench standard.falcon {options}", folder)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"error: {said}")


def test_without_set_up_the_command_is_named(counted, tmp_path):
    folder, _ = counted
    done = run("bench standard.falcon --device arm64", folder, XDG_CACHE_HOME=str(tmp_path))
    assert (done.code, done.out) == (4, "")
    assert done.err == "error: arm64: it is not set up; falcon-edge devices setup arm64\n"
    done = run("devices --json", folder, XDG_CACHE_HOME=str(tmp_path))
    assert done.code == 0
    states = {state["name"]: state for state in done.document}
    assert states["local"]["ready"]
    assert states["arm64"] | {"ready": False, "remedy": "falcon-edge devices setup arm64"} == states["arm64"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1"])
def test_every_file_of_the_sample_answers_there_as_here(sample, cpu):
    done = run(f"bench vgg8.falcon --device arm64:{cpu} --data sample --samples 50 --json", sample)
    assert done.code == 0, done
    entries = done.document["entries"]
    assert [entry["model"]["file"] for entry in entries] == [f"model.{kind}" for kind in KINDS]
    for entry in entries:
        assert entry["agreement"][0]["max_relative"] <= (0 if entry["model"]["precision"] == "int8" else 1e-5)
        assert entry["quality"][0]["samples"] == 50
    instructions = {entry["model"]["file"]: entry["counts"]["instructions"] for entry in entries}
    for kind in ("onnx", "tflite"):
        assert instructions[f"model.int8.{kind}"] < instructions[f"model.fp32.{kind}"]


def test_devices_shows_what_is_ready(counted, warm):
    folder, _ = counted
    done = warm("devices", folder)
    assert done.code == 0
    assert "cortex-a53, cortex-a72 (default), cortex-a76, neoverse-n1, emulated by QEMU" in done.words
    done = warm("devices setup arm64 --json", folder)
    assert done.code == 0
    assert done.document["versions"]["onnxruntime"]
    assert "is whole" in done.err
    done = warm("devices setup phone", folder)
    assert (done.code, done.err) == (2, "error: phone: only arm64 and adb are set up\n")
