"""narrow, from a share of the MACs to bundles and back."""

import shutil

import pytest
import torch
from torch import nn

import falcon_edge as fe
from falcon_edge.bundle import open_bundle
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.plan import Plan
from falcon_edge.steps.adopt import adopt_bundle
from falcon_edge.steps.compress import compress_bundle, plan_of
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.goals import Goal
from falcon_edge.steps.opening import Choice, open_network


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, standard, stripes):
    path = tmp_path_factory.mktemp("narrow") / "narrow.falcon"
    compress_bundle(Choice(str(standard)), path, data=str(stripes), target_macs=0.4, form="narrow")
    return path


def weights(bundle):
    return (bundle / "weights.safetensors").read_bytes()


def test_the_bundle_is_what_its_plan_says_and_opens_without_data(narrow):
    plan, manifest = read_document(narrow / "plan.json", Plan), open_bundle(narrow).manifest
    assert (manifest.macs, manifest.parameters) == (plan.planned_macs, plan.planned_parameters)
    assert plan.planned_macs <= 0.4 * plan.macs
    assert manifest.lineage.role == "compressed"
    network = open_network(Choice(str(narrow)))
    assert network.compressed
    assert manifest.quality[0].value > 0.5


def test_its_plan_makes_the_same_network_again(narrow, standard, stripes, tmp_path):
    (tmp_path / "plan.json").write_bytes((narrow / "plan.json").read_bytes())
    compress_bundle(Choice(str(standard)), tmp_path / "again", data=str(stripes), plan_file=tmp_path / "plan.json")
    assert weights(tmp_path / "again.falcon") == weights(narrow)
    assert read_document(tmp_path / "again.falcon" / "plan.json", Plan) == read_document(narrow / "plan.json", Plan)


def test_weights_that_were_tuned_elsewhere_come_back_by_the_plan(narrow, standard, tmp_path):
    adopt_bundle(
        Choice(str(standard)), narrow / "weights.safetensors", tmp_path / "adopted", plan_file=narrow / "plan.json"
    )
    assert weights(tmp_path / "adopted.falcon") == weights(narrow)
    assert read_document(tmp_path / "adopted.falcon" / "plan.json", Plan) == read_document(narrow / "plan.json", Plan)
    with pytest.raises(BadInput, match="do not fit the network"):
        adopt_bundle(Choice(str(standard)), narrow / "weights.safetensors", tmp_path / "other")


def test_it_is_exported_in_both_precisions(narrow, stripes, tmp_path):
    copied = shutil.copytree(narrow, tmp_path / "narrow.falcon")
    manifest = export_bundle(copied, ("onnx", "tflite"), ("fp32", "int8"), int8=fe.Int8(str(stripes)))
    assert len(manifest.exports) == 4


def test_without_data_norms_decide(standard, tmp_path):
    plan = plan_of(Choice(str(standard)), Goal(target_macs=0.4, form="narrow"))
    with pytest.warns(match="give `data`"):
        compress_bundle(Choice(str(standard)), tmp_path / "bare", target_macs=0.4, form="narrow")
    assert read_document(tmp_path / "bare.falcon" / "plan.json", Plan) == plan


@pytest.mark.parametrize(
    ("goal", "said"),
    [({"rank": 1}, "`rank` does not go with narrow"), ({}, "give either"), ({"target_macs": 2.0}, "between 0 and 1")],
)
def test_goals_that_narrow_does_not_have(standard, goal, said):
    with pytest.raises(BadInput, match=said):
        plan_of(Choice(str(standard)), Goal(**goal, form="narrow"))


class Unet(nn.Module):
    """Two levels, joined by a concatenation; no batch normalisation."""

    def __init__(self):
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up, self.out = nn.Conv2d(24, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        fine = self.down(x).relu()
        coarse = self.deep(nn.functional.max_pool2d(fine, 2)).relu()
        return self.out(self.up(torch.cat([fine, nn.functional.interpolate(coarse, scale_factor=2)], 1)).relu())


@pytest.mark.parametrize("by_graph", [False, True])
def test_a_module_of_ones_own_with_a_concatenation(tmp_path, by_graph):
    torch.manual_seed(0)
    network = fe.from_module(Unet().eval(), torch.zeros(1, 3, 16, 16))
    if by_graph:  # opened from its graph, as an .onnx is
        fe.save(network, tmp_path / "unet")
        network = open_network(Choice(str(tmp_path / "unet.falcon")))
    batches = [torch.rand(8, 3, 16, 16) for _ in range(3)]
    made = fe.compress(network, fe.from_batches(batches, split="train"), target_macs=0.5, form="narrow")
    fe.save(made, tmp_path / "narrow")
    manifest = open_bundle(tmp_path / "narrow.falcon").manifest
    assert manifest.macs == made.plan.planned_macs <= 0.5 * made.plan.macs
    image = torch.rand(1, 3, 16, 16)
    again = open_network(Choice(str(tmp_path / "narrow.falcon"))).module
    with torch.no_grad():
        assert torch.allclose(again(image), made.module(image), atol=1e-5)
        wanted = network.module(image)
        assert float((made.module(image) - wanted).norm() / (wanted - wanted.mean()).norm()) < 0.8
