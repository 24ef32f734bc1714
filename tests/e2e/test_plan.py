"""--dry-run says what will happen and does nothing; what it says can be given back."""

import json

import pytest
from program import listing

from falcon_edge.bundle import open_bundle
from falcon_edge.falcon.plan import Plan


@pytest.mark.parametrize("choice", ["--rank 1", "--rank 9", "--rank 2 --init whitened --data stripes.npz"])
def test_a_plan_given_back_is_the_same_plan(flow, warm, tmp_path, choice):
    before = listing(flow.folder)
    dry = warm(f"compress standard.falcon {choice} --dry-run --json", flow.folder)
    plan = Plan.model_validate_json(dry.out)
    (tmp_path / "plan.json").write_text(dry.out)
    init = choice.partition(" --init")[1:]
    same = warm(
        f"compress standard.falcon --plan {tmp_path / 'plan.json'} {''.join(init)} --dry-run --json", flow.folder
    )
    assert same.out == dry.out
    assert listing(flow.folder) == before
    assert plan.replaced.keys() == {f"features.{number}" for number in (4, 7, 11, 14, 17)}
    assert plan.planned_macs < plan.macs or choice == "--rank 9"
    if choice == "--rank 9":
        assert plan.replaced["features.4"].sizes == (8,)  # of its 8 input channels
        assert "clamped from rank 9" in next(layer.reason for layer in plan.layers if layer.name == "features.4")


def test_what_is_done_is_what_was_planned(flow, warm, tmp_path):
    standard = flow.folder / "standard.falcon"
    dry = warm(f"compress {standard} --rank 2 --dry-run --json", tmp_path)
    (tmp_path / "plan.json").write_text(dry.out)
    assert warm(f"compress {standard} --rank 2 -o by-rank", tmp_path).code == 0
    assert warm(f"compress {standard} --plan plan.json -o by-plan", tmp_path).code == 0
    bundles = [open_bundle(tmp_path / f"{name}.falcon") for name in ("by-rank", "by-plan")]
    for bundle in bundles:
        assert json.loads(bundle.file("plan.json").read_bytes()) == dry.document
        assert bundle.manifest.macs == dry.document["planned_macs"]
        assert bundle.manifest.parameters == dry.document["planned_parameters"]
    weights = [bundle.file("weights.safetensors").read_bytes() for bundle in bundles]
    assert weights[0] == weights[1]


def test_plans_for_people(flow, warm):
    done = warm("compress standard.falcon --rank 9 --dry-run", flow.folder)
    assert "clamped from rank 9 to the lossless rank" in done.out
    first, second = done.err.splitlines()
    assert first.startswith("warning: compressed, the network has more MACs than before")
    assert "the largest rank that saves is 6" in first
    assert second.endswith("--cap-rank lowers their rank")
