"""Whole networks to ONNX and TFLite: the same answers, the right operators, the same bytes."""

import json
import re
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_networks import resnet, samples, vgg
from torch import nn

from converters import onnx_graph
from converters.errors import ConversionError, ParityError
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.onnx_graph import OnnxGraph
from converters.parity import check_same, measure, snr_db
from converters.runtimes import run_onnx, run_tflite
from converters.simplify import simplify
from converters.tflite.emit import emit_tflite
from converters.torch_parity import check_onnx

CARD = {"name": "ü-net", "input": {"shape": [3, 24, 24]}}


def exported(network, folder, **options):
    """Without onnxsim, whose child process takes seconds; the tests of it say so."""
    path = folder / "model.onnx"
    return export_onnx(network, torch.zeros(1, *network.shape), path, **{"simplify": False, **options})


@pytest.mark.parametrize("make", [vgg, resnet])
@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_networks_keep_their_answers(tmp_path, make, rank):
    network = make(rank)
    path = exported(network, tmp_path, card=CARD).path
    inputs = samples(network.shape)
    (parity,) = check_onnx(network, inputs, path)
    assert parity.max_relative <= 1e-5
    assert parity.snr_db >= 100
    kinds = describe(path).counts
    assert "BatchNormalization" not in kinds
    assert "Identity" not in kinds
    lite = tmp_path / "model.tflite"
    emit_tflite(path, lite, card=CARD)
    assert check_same(path, inputs, lite)[0].snr_db >= 100
    described = describe(lite)
    assert "TRANSPOSE" not in described.counts
    assert "RELU" not in described.counts
    assert described.macs == describe(path).macs
    assert described.card == describe(path).card == CARD
    if rank:
        assert described.counts["DEPTHWISE_CONV_2D"] == rank * (3 if make is vgg else 4)


def test_onnx_is_for_old_runtimes_and_self_contained(tmp_path):
    model = onnx.load(exported(vgg(2), tmp_path).path)
    assert model.ir_version <= 8
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [17]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx"]


def test_same_network_same_bytes(tmp_path):
    network, files = vgg(2), []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = exported(network, tmp_path / folder, card=CARD, simplify=True).path
        emit_tflite(path, path.with_suffix(".tflite"), card=CARD)
        files.append((path.read_bytes(), path.with_suffix(".tflite").read_bytes()))
    assert files[0] == files[1]


def test_dynamic_batch(tmp_path):
    network = vgg(1)
    path = exported(network, tmp_path, dynamic_batch=True).path
    import onnxruntime

    inputs = samples(network.shape, 6)
    (outputs,) = onnxruntime.InferenceSession(path).run(None, {"input": inputs})
    assert np.allclose(outputs, run_onnx(path, inputs)[0], atol=1e-5)
    emit_tflite(path, tmp_path / "a.tflite")
    assert describe(tmp_path / "a.tflite").inputs[0].shape == (1, 24, 24, 3)


def test_the_network_is_left_as_it_was(tmp_path):
    network = vgg(2)
    network[1].train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    exported(network, tmp_path)
    assert network[1].training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_signature_has_the_names_of_the_graph(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    network = vgg(1)
    path = exported(network, tmp_path, input_name="image", output_names=["scores"]).path
    emit_tflite(path, tmp_path / "a.tflite")
    interpreter = Interpreter(model_path=str(tmp_path / "a.tflite"))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["scores"]}}
    run = interpreter.get_signature_runner("serving_default")
    inputs = samples(network.shape, 1)
    scores = run(image=inputs.transpose(0, 2, 3, 1))["scores"]
    assert np.allclose(scores, run_onnx(path, inputs)[0], atol=1e-4)


def test_network_that_torch_cannot_export(tmp_path, capfd):
    class Odd(nn.Module):
        shape = (3, 4, 4)

        def forward(self, x):
            return torch.linalg.svd(x)[1]

    with pytest.raises(ConversionError, match="torch cannot export"):
        exported(Odd(), tmp_path)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")  # torch prints its graph


def test_parity_error_names_the_first_layer_that_differs(tmp_path):
    network = resnet(2)
    path = exported(network, tmp_path).path
    with torch.no_grad():
        network[5].one.depthwise[1].weight[3] += 0.5
    with pytest.raises(ParityError) as caught:
        check_onnx(network, samples(network.shape), path)
    assert "first layer that differs is /5/one/" in str(caught.value)


def test_parity_of_tflite_is_checked_too(tmp_path):
    network = vgg(1)
    path = exported(network, tmp_path).path
    emit_tflite(path, tmp_path / "a.tflite")
    with torch.no_grad():
        network[0].pointwise[0].weight *= 1.01
    other = exported(network, tmp_path).path
    with pytest.raises(ParityError, match=r"a\.tflite differs from model\.onnx"):
        check_same(other, samples(network.shape), tmp_path / "a.tflite")


def test_measure():
    one = np.array([[1.0, -2.0]], np.float32)
    assert measure(one, one).snr_db == np.inf
    assert measure(one, one + np.float32(0.002)).max_relative == pytest.approx(0.001, rel=1e-3)
    assert measure(one, one * np.nan).max_relative == np.inf
    assert measure(one, one[:, :1]).max_relative == np.inf
    assert snr_db(np.array([3.0]), np.array([2.7])) == pytest.approx(20)


def traced(tmp_path):
    return onnx.load(exported(vgg(1), tmp_path).path)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(SIGSEGV\)"),
        ("import time; time.sleep(60)", "did not finish within 0.5 s"),
        ("import sys; sys.exit('no such thing')", "failed: no such thing"),
        (
            "import sys; open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read()[:500])",
            "cannot be used",
        ),
        ("x = bytearray(64 * 1024 ** 3)", "failed: MemoryError"),
    ],
)
def test_simplifier_that_fails_costs_nothing(tmp_path, program, said):
    model = traced(tmp_path)
    timeout = 0.5 if "sleep" in program else 60
    result = simplify(model, timeout=timeout, child=(sys.executable, "-c", program))
    assert result.model is model
    assert re.search(said, result.problem)


def test_simplifier_works(tmp_path):
    result = simplify(traced(tmp_path))
    assert result.problem is None
    assert len(result.model.graph.node) > 0


@pytest.mark.parametrize("make", [vgg, resnet])
def test_simplified_export_is_as_good(tmp_path, make):
    network = make(2)
    export = exported(network, tmp_path, simplify=True)
    assert export.notes == ()
    assert "BatchNormalization" not in describe(export.path).counts
    check_onnx(network, samples(network.shape), export.path)
    emit_tflite(export.path, tmp_path / "a.tflite")
    check_same(export.path, samples(network.shape), tmp_path / "a.tflite")


def test_card_is_readable_by_anyone(tmp_path):
    path = exported(vgg(1), tmp_path, card=CARD).path
    entries = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(entries["falcon_edge.card"]) == CARD


def test_unwritable_place(tmp_path):
    with pytest.raises(ConversionError, match="cannot be written"):
        export_onnx(vgg(1), torch.zeros(1, 3, 24, 24), tmp_path / "nowhere" / "a.onnx")


def test_external_data_is_refused(tmp_path):
    model = traced(tmp_path)
    onnx.save(model, tmp_path / "b.onnx", save_as_external_data=True, size_threshold=0, location="b.data")
    with pytest.raises(ConversionError, match="keeps its weights in other files"):
        onnx_graph.load(tmp_path / "b.onnx")


def test_shapes_of_all_values(tmp_path):
    shapes = OnnxGraph(onnx_graph.load(exported(vgg(0), tmp_path).path)).shapes()
    assert shapes["input"] == (1, 3, 24, 24)
    assert shapes["logits"] == (1, 5)


def test_tflite_alone_runs(tmp_path):
    network = vgg(2)
    path = exported(network, tmp_path).path
    emit_tflite(path, tmp_path / "a.tflite")
    inputs = samples(network.shape)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).numpy()
    assert snr_db(expected, run_tflite(tmp_path / "a.tflite", inputs)[0]) > 100


def test_input_and_outputs_may_be_called_by_numbers(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten())
    export_onnx(network, torch.zeros(1, 3, 8, 8), tmp_path / "net.onnx", input_name="5", output_names=("3",))
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert [value.name for value in (*session.get_inputs(), *session.get_outputs())] == ["5", "3"]
    image = torch.randn(1, 3, 8, 8)
    assert np.allclose(session.run(None, {"5": image.numpy()})[0], network(image).detach().numpy(), atol=1e-5)


def test_dilated_convolutions_that_keep_the_size(tmp_path):
    """Whose padding PyTorch writes as SAME, which ONNX Runtime refuses of dilated ones."""
    layers = [nn.Conv2d(3, 8, 3, padding="same", dilation=2), nn.Conv2d(8, 8, (2, 4), padding="same", dilation=3)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 12 * 12, 4)).eval()
    network.shape = (3, 12, 12)
    path, lite = exported(network, tmp_path).path, tmp_path / "model.tflite"
    assert check_onnx(network, samples(network.shape), path)[0].snr_db >= 100
    emit_tflite(path, lite)
    assert check_same(path, samples(network.shape), lite)[0].snr_db >= 100
