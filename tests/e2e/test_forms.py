"""Every form goes the whole way: plan, bundle, exported files, latency, layers, and back by its weights."""

import json
import shutil

import pytest
import torch

from falcon_edge.bundle import open_bundle
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.plan import Plan
from falcon_edge.steps.opening import Choice, open_network

OTHERS = [form for form in FORMS if form != "falcon"]
QUICK = "--runs 3 --processes 1 --every 0"


@pytest.mark.slow
@pytest.mark.parametrize("form", OTHERS)
def test_a_form_goes_the_whole_way(flow, warm, tmp_path, form):
    standard = shutil.copytree(flow.folder / "standard.falcon", tmp_path / "standard.falcon")
    data = f"--data {flow.folder / 'stripes.npz'}"
    dry = warm(f"compress standard.falcon --form {form} --target-macs 0.4 --dry-run --json", tmp_path)
    plan = Plan.model_validate_json(dry.out)
    assert {layer.form for layer in plan.layers} == {"keep", form}
    made = warm(
        f"compress standard.falcon --form {form} --target-macs 0.4 --init sequential {data} -o small --json", tmp_path
    )
    assert made.document["macs"] == plan.planned_macs <= 0.4 * plan.macs
    said = {"form": form, "target_macs": 0.4, "init": "sequential"}
    assert said.items() <= made.document["lineage"]["steps"][-1]["options"].items()
    done = warm(
        f"export small.falcon --target onnx --target tflite --precision fp32 --precision int8 {data} --json", tmp_path
    )
    assert done.code == 0, done.err
    assert len(done.document["exports"]) == 4
    described = warm("inspect small.falcon/exports/model.fp32.onnx --json", tmp_path).document
    assert described["macs"] == plan.planned_macs
    measured = warm(f"bench small.falcon --profile {QUICK} {data} -o results.json --json", tmp_path)
    assert measured.code == 0, measured.err
    entries = measured.document["entries"]
    assert len(entries) == 4
    assert all(entry["bursts"] and entry["profile"]["layers"] for entry in entries)
    small = open_network(Choice(str(tmp_path / "small.falcon")))
    torch.save(small.module.state_dict(), tmp_path / "own.pt")
    assert warm("adopt standard.falcon --weights own.pt -o back --json", tmp_path).code == 0
    back = open_bundle(tmp_path / "back.falcon")
    assert back.manifest.lineage.identity == open_bundle(tmp_path / "small.falcon").manifest.lineage.identity
    replaced = Plan.model_validate(json.loads(back.file("plan.json").read_bytes())).replaced
    assert replaced == plan.replaced
    assert standard.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--form wavelet --rank 1", "wavelet: no form of this name; there are falcon, dsconv"),
        ("--form mobilev2 --rank 1", "mobilev2: has normalisation and activations inside, which no closed form fits"),
        ("--form falcon_branch --rank 1", "train a network of it: --unit of train"),
        ("--rank evbmf", "--rank evbmf: is not for FALCON"),
        ("--form tucker2 --rank many", "--rank many: write a whole number, or evbmf"),
        ("--form tucker2 --rank evbmf --cap-rank", "--cap-rank goes with --rank, a number"),
        ("--form tucker2", "give either --rank, --target-macs, --plan or a budget"),
        ("--rank 1 --target-macs 0.5", "give either --rank, --target-macs, --plan or a budget"),
        ("--target-macs 1.5", "between 0 and 1"),
        ("--target-macs 0.5 --cap-rank", "--cap-rank goes with --rank"),
        ("--rank 1 --init sequential", "--init sequential needs --data"),
        ("--form tucker2 --rank 999", "above the lossless rank of every layer"),
    ],
)
def test_what_cannot_be_is_one_line(flow, warm, words, said):
    done = warm(f"compress standard.falcon {words} --dry-run", flow.folder)
    assert done.code == 2
    assert said in " ".join(done.err.split())


@pytest.mark.parametrize("form", ["falcon", "tucker2", "narrow"])
def test_a_goal_that_no_size_reaches_ends_in_1_with_the_best_there_is(flow, warm, form):
    done = warm(f"compress standard.falcon --form {form} --target-macs 0.001 --dry-run", flow.folder)
    assert done.code == 1
    assert f"error: {form} at its smallest leaves" in done.err
