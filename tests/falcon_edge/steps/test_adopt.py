"""adopt: weights that were tuned in somebody's own loop come back, with their lineage."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import falcon_edge as fe
from falcon_edge.bundle import open_bundle
from falcon_edge.documents import canonical_json, read_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.plan import Plan
from falcon_edge.steps.adopt import adopt, adopt_bundle
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice, open_network
from runtime_bench.bench import Protocol

QUICK = Protocol(runs=3, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)


def module(bundle):
    return open_network(Choice(str(bundle))).module


def tuned(module):
    """The module with other weights, as a loop of its owner's leaves it."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.01)
    return module


@pytest.mark.parametrize("wrapped", ["", "module.", "_orig_mod.net."])
@pytest.mark.parametrize("rank", [1, 2])
def test_what_was_compressed_and_tuned_elsewhere_is_of_its_standard_network(standard, tmp_path, rank, wrapped):
    compress_bundle(Choice(str(standard)), tmp_path / "outside", rank=rank)
    wanted = tuned(module(tmp_path / "outside.falcon"))
    torch.save({f"{wrapped}{name}": value for name, value in wanted.state_dict().items()}, tmp_path / "own.pt")
    manifest = adopt_bundle(Choice(str(standard)), tmp_path / "own.pt", tmp_path / "back")
    lineage, before = manifest.lineage, open_bundle(standard).manifest
    assert (lineage.parent.identity, lineage.parent.name) == (before.lineage.identity, before.name)
    assert lineage.role == "compressed"
    assert [step.verb for step in lineage.steps] == ["train", "adopt"]
    assert lineage.steps[-1].options == {"weights": "own.pt"}
    found = module(tmp_path / "back.falcon")
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in wanted.state_dict().items())
    plans = [read_document(tmp_path / f"{name}.falcon" / "plan.json", Plan) for name in ("outside", "back")]
    assert plans[0].replaced == plans[1].replaced
    assert {layer.reason for layer in plans[1].layers if layer.replacement is not None} == {"as the weights say"}


@pytest.mark.parametrize("wrapped", ["", "module."])
def test_biases_that_the_fit_made_come_back(tmp_path, wrapped):
    """A network without normalisation gets its moments back by biases, also where its convolutions had none."""
    layers = nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 4, 3, bias=False), nn.Flatten(), nn.Linear(64, 3)
    images = torch.randn(16, 3, 8, 8)
    network = fe.from_module(nn.Sequential(*layers), images[:1])
    small = fe.compress(network, fe.from_batches([images]), rank=1)
    wanted = small.module.state_dict()
    assert {"0.depthwise.0.bias", "2.depthwise.0.bias"} <= wanted.keys()
    torch.save({f"{wrapped}{name}": value for name, value in wanted.items()}, tmp_path / "own.pt")
    found = adopt(network, tmp_path / "own.pt").module.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))

    def forward(self, x):
        x = self.body(x)
        return x.mean((2, 3)), x


def test_weights_of_several_outputs_have_the_names_of_their_owner(tmp_path):
    images = torch.rand(8, 3, 12, 12)
    network = fe.from_module(TwoHeads(), images[:1])
    small = fe.compress(network, fe.from_batches([images]), rank=1)
    fe.save(network, tmp_path / "standard")
    opened = open_network(Choice(str(tmp_path / "standard.falcon")))
    torch.save(small.module.state_dict(), tmp_path / "own.pt")
    assert "body.0.weight" in opened.module.state_dict()
    answers = adopt(opened, tmp_path / "own.pt").module.eval()(images)
    for found, expected in zip(answers.values(), small.module.eval()(images), strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


def test_compare_finds_the_standard_by_itself(standard, tmp_path):
    from falcon_edge.steps.bench import BenchRequest, bench
    from runtime_bench.compare import compare

    before = shutil.copytree(standard, tmp_path / "before.falcon")
    compress_bundle(Choice(str(before)), tmp_path / "outside", rank=1)
    save_file(tuned(module(tmp_path / "outside.falcon")).state_dict(), tmp_path / "own.safetensors")
    adopt_bundle(Choice(str(before)), tmp_path / "own.safetensors", tmp_path / "back")
    for bundle in (before, tmp_path / "back.falcon"):
        export_bundle(bundle, ("onnx",))
    rows = compare([bench((before, tmp_path / "back.falcon"), BenchRequest(QUICK))])
    assert [row.standard.model.name for row in rows if row.entry.model.name == "back"] == ["standard"]


def test_its_quality_is_measured(standard, compressed, stripes, tmp_path):
    save_file(module(compressed).state_dict(), tmp_path / "own.safetensors")
    manifest = adopt_bundle(Choice(str(standard)), tmp_path / "own.safetensors", tmp_path / "back", data=str(stripes))
    (quality,) = manifest.quality
    (measured,) = open_bundle(compressed).manifest.quality
    assert quality == measured


def test_layers_of_several_ranks_are_found(standard, tmp_path):
    compress_bundle(Choice(str(standard)), tmp_path / "one", rank=1)
    plan = read_document(tmp_path / "one.falcon" / "plan.json", Plan)
    first, second, *_ = plan.replaced
    forms = {first: Replacement("falcon", (3,)), second: Replacement("falcon", (1,))}
    mixed = tuple(
        layer.model_copy(update=forms.get(layer.name, Replacement("keep", ()))._asdict()) for layer in plan.layers
    )
    (tmp_path / "plan.json").write_bytes(canonical_json(plan.model_copy(update={"layers": mixed})))
    compress_bundle(Choice(str(standard)), tmp_path / "mixed", plan_file=tmp_path / "plan.json")
    save_file(module(tmp_path / "mixed.falcon").state_dict(), tmp_path / "own.safetensors")
    network = open_network(Choice(str(standard)))
    assert adopt(network, tmp_path / "own.safetensors").plan.replaced == forms


def test_a_standard_network_that_was_tuned_stays_one(standard, tmp_path):
    save_file(tuned(module(standard)).state_dict(), tmp_path / "own.safetensors")
    manifest = adopt_bundle(Choice(str(standard)), tmp_path / "own.safetensors", tmp_path / "back")
    assert manifest.lineage.role == "standard"
    assert manifest.lineage.parent.identity == open_bundle(standard).manifest.lineage.identity


@pytest.mark.parametrize("change", ["one is missing", "one has another shape", "another network's"])
def test_weights_that_do_not_fit_are_refused(standard, compressed, tmp_path, change):
    state = dict(module(compressed).state_dict())
    name = next(name for name in state if name.endswith("pointwise.0.weight"))
    if change == "one is missing":
        del state[name]
    elif change == "one has another shape":
        state[name] = state[name][:1].clone()
    else:
        state = {"fc.weight": torch.zeros(3, 3)}
    save_file(state, tmp_path / "own.safetensors")
    with pytest.raises(BadInput, match=r"own\.safetensors"):
        adopt_bundle(Choice(str(standard)), tmp_path / "own.safetensors", tmp_path / "back")
    assert not (tmp_path / "back.falcon").exists()


def test_a_plan_that_says_something_else_is_held_against_the_weights(standard, compressed, tmp_path):
    save_file(module(compressed).state_dict(), tmp_path / "own.safetensors")
    compress_bundle(Choice(str(standard)), tmp_path / "one", rank=1)
    with pytest.raises(BadInput, match="these weights do not fit the network"):
        adopt_bundle(
            Choice(str(standard)),
            tmp_path / "own.safetensors",
            tmp_path / "back",
            plan_file=tmp_path / "one.falcon" / "plan.json",
        )


def test_weights_of_two_ranks_in_one_file_ask_for_a_plan(standard, tmp_path):
    states = {}
    for rank in (1, 2):
        compress_bundle(Choice(str(standard)), tmp_path / f"k{rank}", rank=rank)
        states[f"rank{rank}"] = module(tmp_path / f"k{rank}.falcon").state_dict()
    torch.save(states, tmp_path / "own.pt")
    with pytest.raises(BadInput, match="several ranks; say by `plan` or `weights_key`"):
        adopt_bundle(Choice(str(standard)), tmp_path / "own.pt", tmp_path / "back")
    manifest = adopt_bundle(
        Choice(str(standard)), tmp_path / "own.pt", tmp_path / "back", plan_file=tmp_path / "k2.falcon" / "plan.json"
    )
    keyed = adopt_bundle(Choice(str(standard)), tmp_path / "own.pt", tmp_path / "keyed", weights_key="rank2")
    assert manifest.lineage.identity == keyed.lineage.identity
    assert open_bundle(tmp_path / "k2.falcon").manifest.lineage.identity == keyed.lineage.identity


def test_what_is_compressed_has_to_be_named_by_its_standard(standard, compressed, tmp_path):
    save_file(module(compressed).state_dict(), tmp_path / "own.safetensors")
    with pytest.raises(BadInput, match="is compressed already"):
        adopt_bundle(Choice(str(compressed)), tmp_path / "own.safetensors", tmp_path / "back")
    with pytest.raises(BadInput, match="is the standard network, which is still needed"):
        adopt_bundle(Choice(str(standard)), tmp_path / "own.safetensors", standard, force=True)


def test_the_network_itself_stays_as_it_was(standard, compressed, tmp_path):
    save_file(module(compressed).state_dict(), tmp_path / "own.safetensors")
    network = open_network(Choice(str(standard)))
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    adopted = adopt(replace(network), tmp_path / "own.safetensors")
    assert adopted.module is not network.module
    assert all(torch.equal(value, network.module.state_dict()[name]) for name, value in before.items())
