"""Classifiers of timm and torchvision, one or more of each family of CNNs, and what becomes of them: in ONNX and
TFLite, in float16, in int8, and as FALCON."""

import importlib.util
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from alone import run_alone
from torch import nn

from converters import onnx_graph
from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import check_same, snr_db
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize as quantize_graph
from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_tflite, write_rounded
from converters.tflite.int8 import NoInt8Form
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.gep import lossless_rank
from falcon_edge.falcon.plan import uniform_plan
from falcon_edge.models import packages


@dataclass(frozen=True)
class Member:
    """A network: "timm:NAME" or "torchvision:NAME", its family, the side of its images here.

    That is as small as the network bears: what is examined does not depend on it, and many can be.
    """

    name: str
    family: str
    side: int = 96


def _family(family, *names, **sides):
    return [Member(name, family, **sides) for name in names]


ZOO = [
    *_family("AlexNet", "torchvision:alexnet", side=224),
    *_family("VGG", "torchvision:vgg11", side=224),
    *_family("SqueezeNet", "torchvision:squeezenet1_1"),
    *_family("GoogLeNet", "torchvision:googlenet"),
    *_family("Inception", "timm:inception_v3", side=128),
    *_family("Inception-ResNet", "timm:inception_resnet_v2", side=128),
    *_family("Xception", "timm:xception41", side=128),
    *_family("ResNet", "timm:resnet18", "timm:test_resnet"),
    *_family("Wide ResNet", "timm:wide_resnet50_2"),
    *_family("ResNeXt", "timm:resnext50_32x4d"),
    *_family("ResNet v2", "timm:resnetv2_50"),
    *_family("BiT", "timm:resnetv2_50x1_bit"),
    *_family("ResNet-RS", "timm:resnetrs50"),
    *_family("SE-ResNet", "timm:seresnet18"),
    *_family("ECA-ResNet", "timm:ecaresnet26t"),
    *_family("Res2Net", "timm:res2net50_14w_8s"),
    *_family("SKNet", "timm:skresnet18"),
    *_family("ResNeSt", "timm:resnest14d"),
    *_family("TResNet", "timm:tresnet_m"),
    *_family("NF-ResNet", "timm:nf_resnet26"),
    *_family("NFNet", "timm:eca_nfnet_l0"),
    *_family("RegNet", "timm:regnety_002", "timm:regnetz_005", "timm:nf_regnet_b0"),
    *_family("GENet", "timm:gernet_s"),
    *_family("RepVGG", "timm:repvgg_a0"),
    *_family("DenseNet", "timm:densenet121"),
    *_family("RDNet", "timm:rdnet_tiny"),
    *_family("DPN", "timm:dpn48b", "timm:dpn68"),
    *_family("DLA", "timm:dla34"),
    *_family("HRNet", "timm:hrnet_w18_small"),
    *_family("SelecSLS", "timm:selecsls42"),
    *_family("VoVNet", "timm:vovnet39a", "timm:ese_vovnet19b_dw"),
    *_family("HGNet", "timm:hgnet_tiny", "timm:hgnetv2_b0"),
    *_family("DarkNet", "timm:darknet17"),
    *_family("CSPNet", "timm:cspresnet50", "timm:cs3darknet_s"),
    *_family("MobileNet v1", "timm:mobilenetv1_100"),
    *_family("MobileNet v2", "timm:mobilenetv2_050", "torchvision:mobilenet_v2"),
    *_family("MobileNet v3", "timm:mobilenetv3_small_050"),
    *_family("MobileNet v4", "timm:mobilenetv4_conv_small_050"),
    *_family("MobileNet EdgeTPU", "timm:mobilenet_edgetpu_v2_xs"),
    *_family("MobileOne", "timm:mobileone_s0"),
    *_family("MNASNet", "torchvision:mnasnet0_5"),
    *_family("FBNet", "timm:fbnetc_100"),
    *_family("Single-Path NAS", "timm:spnasnet_100"),
    *_family("HardCoRe-NAS", "timm:hardcorenas_a"),
    *_family("MixNet", "timm:mixnet_s"),
    *_family("EfficientNet", "timm:efficientnet_b0", "timm:tf_efficientnet_b0"),
    *_family("EfficientNet-Lite", "timm:efficientnet_lite0"),
    *_family("EfficientNet v2", "timm:efficientnetv2_rw_t"),
    *_family("TinyNet", "timm:tinynet_e"),
    *_family("LCNet", "timm:lcnet_050"),
    *_family("ReXNet", "timm:rexnet_100"),
    *_family("GhostNet", "timm:ghostnet_050", "timm:ghostnetv2_100", "timm:repghostnet_050"),
    *_family("ShuffleNet v2", "torchvision:shufflenet_v2_x0_5"),
    *_family("ConvNeXt", "timm:convnext_atto", "timm:convnextv2_atto"),
    *_family("ConvMixer", "timm:convmixer_1024_20_ks9_p14", side=112),
    *_family("Inception-NeXt", "timm:inception_next_atto"),
    *_family("ConvFormer", "timm:convformer_s18"),
    *_family("MambaOut", "timm:mambaout_femto"),
    *_family("FocalNet", "timm:focalnet_tiny_srf"),
    *_family("PoolFormer", "timm:poolformer_s12"),
    *_family("StarNet", "timm:starnet_s1"),
    *_family("FastViT (no attention)", "timm:fastvit_t8"),
    *_family("RepViT", "timm:repvit_m0_9"),
    *_family("GC-ResNeXt", "timm:gcresnext26ts"),
]
MEMBERS = {member.name: member for member in ZOO}
# Small, and of ten families that differ most.
QUICK = (
    *("torchvision:squeezenet1_1", "torchvision:shufflenet_v2_x0_5", "torchvision:mnasnet0_5", "timm:test_resnet"),
    *("timm:mobilenetv3_small_050", "timm:efficientnet_lite0", "timm:ghostnet_050", "timm:regnety_002"),
    *("timm:skresnet18", "timm:convnext_atto"),
)
# Their convolutions are pointwise, depthwise, or of a kind of their own (weight-standardised, padded as TensorFlow
# does), or FALCON would not make them cheaper (stems whose stride is the kernel).
NOTHING_TO_COMPRESS = frozenset(
    (
        *("timm:convmixer_1024_20_ks9_p14", "timm:convnext_atto", "timm:convnextv2_atto", "timm:inception_next_atto"),
        *("timm:eca_nfnet_l0", "timm:nf_regnet_b0", "timm:nf_resnet26", "timm:resnetv2_50x1_bit"),
        *("timm:focalnet_tiny_srf", "timm:rdnet_tiny", "timm:tf_efficientnet_b0"),
    )
)
# With random weights they make the rounding of int8 larger from block to block: 5 to 7 dB are left against float, and 6
# to 10 between the runtimes (whichever calibration is used: tried on RepViT).
LOUD = frozenset(("timm:convmixer_1024_20_ks9_p14", "timm:repvit_m0_9"))
CLASSES = 10
CALIBRATION, TRIED = 8, 4  # images


@dataclass(frozen=True)
class Converted:
    """float32 files: how often they have each operator, the SNR (dB) of their logits against torch's, in ONNX Runtime
    and in LiteRT, and the bytes that transposes move in LiteRT."""

    parameters: int
    onnx: dict[str, int]
    tflite: dict[str, int]
    onnx_db: float
    tflite_db: float
    bytes_transposed: int


@dataclass(frozen=True)
class Halved:
    """A TFLite file in float16: SNR (dB) of its logits against ONNX Runtime's, with the weights rounded and without;
    its size, as a share of the one in float32; how many constants float16 cannot hold."""

    rounded_db: float
    onnx_db: float
    share: float
    left: int


@dataclass(frozen=True)
class Quantized:
    """int8 files: SNR (dB) of ONNX Runtime's int8 against its float32, of a network whose every value is rounded by
    itself (alone.py) against the same, and of LiteRT's int8 against ONNX Runtime's; the operators that stay in float,
    and how many nodes there are in all."""

    onnx_db: float
    alone_db: float
    agreement_db: float
    kept: dict[str, int]
    nodes: int


@dataclass(frozen=True)
class Compressed:
    """FALCON: layers replaced, of how many; the largest difference of the logits at lossless rank, relative to the
    largest logit; at rank 2 the share of the parameters that is left, and the SNR (dB) of its files against torch."""

    replaced: int
    convolutions: int
    lossless: float
    share: float
    onnx_db: float
    tflite_db: float


def missing():
    """What must be installed first, or None."""
    absent = [name for name in ("timm", "torchvision") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(absent)} not installed (the zoo extra)" if absent else None


def make(member):
    """The network with random weights, in eval mode, with batch normalisation as training leaves it.

    With shifts above zero most of a ReLU's inputs pass. Without that, deep networks of random weights amplify the
    rounding of float32 so much that torch's own logits are worth 60 dB against float64.
    """
    source, name = member.name.split(":")
    torch.manual_seed(0)
    if source == "timm":
        network = packages.timm(member.name).create_model(name, pretrained=False, num_classes=CLASSES)
    else:
        special = {"googlenet": {"aux_logits": False, "init_weights": True}}.get(name, {})
        models = packages.torchvision_models(member.name)
        network = models.get_model(name, weights=None, num_classes=CLASSES, **special)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0.5, 0.2)
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn(4, 3, member.side, member.side))
    return network.eval()


STAGES = ("fp32", "fp16", "int8", "falcon")


def examine(name, folder, stages=STAGES):
    """One network: what became of fp32, from which all others are made, and of each of `stages`; or the line that says
    why one failed."""
    member, found = MEMBERS[name], {"name": name}
    network = make(member)
    works = {
        "fp32": lambda: convert(network, member.side, folder),
        "fp16": lambda: halve(member.side, folder),
        "int8": lambda: quantize(member.side, folder),
        "falcon": lambda: compress(network, member.side, folder),
    }
    for stage, work in works.items():
        if stage not in ("fp32", *stages):
            continue
        try:
            done = work()
        except Exception as error:  # whatever it is belongs into the table
            found[stage] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        else:
            found[stage] = None if done is None else dict(vars(done))
    return found


def convert(network, side, folder):
    """Export a network to folder/model.onnx, emit folder/model.tflite, and run all three."""
    path, lite = Path(folder, "model.onnx"), Path(folder, "model.tflite")
    onnx_db, tflite_db = _exported(network, side, path, lite)
    description = describe(lite)
    return Converted(
        sum(parameter.numel() for parameter in network.parameters()),
        describe(path).counts,
        description.counts,
        onnx_db,
        tflite_db,
        sum(transpose.bytes for transpose in description.transposes),
    )


def halve(side, folder):
    """Emit folder/model.onnx in float16; check_same, as `export` does, against the graph whose weights are rounded."""
    source, rounded, lite = (Path(folder, name) for name in ("model.onnx", "rounded.onnx", "model.fp16.tflite"))
    emit_tflite(source, lite, half=True)
    left = write_rounded(source, rounded)
    images = _images(side, TRIED)
    return Halved(
        check_same(rounded, images, lite)[0].snr_db,
        snr_db(run_onnx(source, images)[0], run_tflite(lite, images)[0]),
        lite.stat().st_size / Path(folder, "model.tflite").stat().st_size,
        len(left),
    )


def quantize(side, folder):
    """Quantize folder/model.onnx, write both int8 files, load and run them."""
    path, lite = Path(folder, "model.int8.onnx"), Path(folder, "model.int8.tflite")
    model, kept = onnx_graph.load(Path(folder, "model.onnx")), {}
    calibration = _images(side, CALIBRATION, seed=1)
    while True:
        done = quantize_graph(model, calibration, kept=kept)
        try:
            emit_tflite(done.model, lite, quantization=done.spec)
            break
        except NoInt8Form as error:
            kept |= error.nodes
    onnx_graph.save(write_qdq(done.model, done.spec), path)
    images = _images(side, TRIED)
    reference, integers = run_onnx(Path(folder, "model.onnx"), images)[0], run_onnx(path, images)[0]
    nodes = [node for node in done.model.graph.node if node.op_type != "Constant"]
    return Quantized(
        snr_db(reference, integers),
        snr_db(reference, run_alone(model, calibration, images)),
        snr_db(integers, run_tflite(lite, images)[0]),
        dict(Counter(node.op_type for node in nodes if node.output[0] in done.spec.kept)),
        len(nodes),
    )


def compress(network, side, folder):
    """FALCON of lossless rank against a network, and of rank 2 as folder/falcon.onnx and folder/falcon.tflite.

    None for a network without a convolution that FALCON makes cheaper.
    """
    shape, images = (3, side, side), torch.from_numpy(_images(side, TRIED))
    limits = [lossless_rank(module.weight) for module in network.modules() if isinstance(module, nn.Conv2d)]
    try:
        lossless, plan = (uniform_plan(network, shape, rank) for rank in (max(limits), 2))
    except BadInput as error:
        if "nothing to compress" in str(error):
            return None
        raise
    with torch.no_grad():
        logits = network(images)
        difference = (surgery.apply(network, lossless.replaced)(images) - logits).abs().max()
    falcon = surgery.apply(network, plan.replaced)
    onnx_db, tflite_db = _exported(falcon, side, Path(folder, "falcon.onnx"), Path(folder, "falcon.tflite"))
    return Compressed(
        len(plan.replaced),
        len(plan.layers),
        float(difference / logits.abs().max()),
        plan.planned_parameters / plan.parameters,
        onnx_db,
        tflite_db,
    )


def _exported(network, side, path, lite):
    """Export and emit a network; SNR (dB) of both files' logits against torch's."""
    export_onnx(network, torch.zeros(1, 3, side, side), path)
    emit_tflite(path, lite)
    images = _images(side, TRIED)
    with torch.no_grad():
        logits = network(torch.from_numpy(images)).numpy()
    assert np.isfinite(logits).all()
    return snr_db(logits, run_onnx(path, images)[0]), snr_db(logits, run_tflite(lite, images)[0])


def _images(side, count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, side, side)).astype(np.float32)
