"""Classifiers of timm and torchvision, one or more of each family of CNNs, and what becomes of them in TFLite."""

import importlib.util
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import nn

from converters.inspect import describe
from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_tflite


@dataclass(frozen=True)
class Member:
    """A network: "timm:NAME" or "torchvision:NAME", its family, the side of its images here and by its authors."""

    name: str
    family: str
    side: int = 96
    own_side: int = 224


def _family(family, *names, **sides):
    return [Member(name, family, **sides) for name in names]


ZOO = [
    *_family("AlexNet", "torchvision:alexnet", side=224),
    *_family("VGG", "torchvision:vgg11", "timm:vgg11_bn", side=224),
    *_family("SqueezeNet", "torchvision:squeezenet1_0", "torchvision:squeezenet1_1"),
    *_family("GoogLeNet", "torchvision:googlenet"),
    *_family("Inception", "timm:inception_v3", "timm:inception_v4", side=128, own_side=299),
    *_family("Inception-ResNet", "timm:inception_resnet_v2", side=128, own_side=299),
    *_family("Xception", "timm:xception41", "timm:legacy_xception", side=128, own_side=299),
    *_family("ResNet", "timm:resnet18", "timm:resnet26d", "torchvision:resnet34", "timm:resnet50", "timm:test_resnet"),
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
    *_family("RegNet", "timm:regnetx_002", "timm:regnety_002", "timm:regnetz_005", "timm:nf_regnet_b0"),
    *_family("GENet", "timm:gernet_s"),
    *_family("RepVGG", "timm:repvgg_a0"),
    *_family("DenseNet", "timm:densenet121"),
    *_family("RDNet", "timm:rdnet_tiny"),
    *_family("DPN", "timm:dpn48b", "timm:dpn68"),
    *_family("DLA", "timm:dla34", "timm:dla46_c"),
    *_family("HRNet", "timm:hrnet_w18_small"),
    *_family("SelecSLS", "timm:selecsls42"),
    *_family("VoVNet", "timm:vovnet39a", "timm:ese_vovnet19b_dw"),
    *_family("HGNet", "timm:hgnet_tiny", "timm:hgnetv2_b0"),
    *_family("DarkNet", "timm:darknet17", "timm:darknet53"),
    *_family("CSPNet", "timm:cspresnet50", "timm:cspdarknet53", "timm:cs3darknet_s"),
    *_family("MobileNet v1", "timm:mobilenetv1_100"),
    *_family("MobileNet v2", "timm:mobilenetv2_050", "torchvision:mobilenet_v2"),
    *_family("MobileNet v3", "timm:mobilenetv3_small_050", "timm:mobilenetv3_large_100"),
    *_family("MobileNet v4", "timm:mobilenetv4_conv_small_050", "timm:mobilenetv4_conv_small"),
    *_family("MobileNet EdgeTPU", "timm:mobilenet_edgetpu_v2_xs"),
    *_family("MobileOne", "timm:mobileone_s0"),
    *_family("MNASNet", "torchvision:mnasnet0_5", "timm:mnasnet_small", "timm:semnasnet_075"),
    *_family("FBNet", "timm:fbnetc_100", "timm:fbnetv3_b"),
    *_family("Single-Path NAS", "timm:spnasnet_100"),
    *_family("HardCoRe-NAS", "timm:hardcorenas_a"),
    *_family("MixNet", "timm:mixnet_s"),
    *_family("EfficientNet", "timm:efficientnet_b0", "timm:tf_efficientnet_b0", "timm:efficientnet_es"),
    *_family("EfficientNet-Lite", "timm:efficientnet_lite0"),
    *_family("EfficientNet v2", "timm:efficientnetv2_rw_t", "timm:tf_efficientnetv2_b0"),
    *_family("TinyNet", "timm:tinynet_e"),
    *_family("LCNet", "timm:lcnet_050"),
    *_family("ReXNet", "timm:rexnet_100"),
    *_family("GhostNet", "timm:ghostnet_050", "timm:ghostnetv2_100", "timm:repghostnet_050"),
    *_family("ShuffleNet v2", "torchvision:shufflenet_v2_x0_5", "torchvision:shufflenet_v2_x1_0"),
    *_family("ConvNeXt", "timm:convnext_atto", "timm:convnextv2_atto", "torchvision:convnext_tiny"),
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
    *("timm:densenet121", "timm:convnext_atto"),
)
# Softmax over branches: TFLite has it over the last axis only. A few kilobytes move.
TRANSPOSES = {"timm:skresnet18": 16, "timm:resnest14d": 8}
CLASSES = 10


@dataclass(frozen=True)
class Converted:
    """What became of one: SNR (dB) of its logits against torch's, in ONNX Runtime and in LiteRT."""

    parameters: int
    onnx: dict[str, int]
    tflite: dict[str, int]
    onnx_db: float
    tflite_db: float
    bytes_transposed: int


def missing():
    """What must be installed first, or None."""
    absent = [name for name in ("timm", "torchvision") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(absent)} not installed (the zoo extra)" if absent else None


def make(member, side):
    """The network with random weights, in eval mode, with batch normalisation as training leaves it.

    With shifts above zero most of a ReLU's inputs pass. Without that, deep networks of random weights amplify the
    rounding of float32 so much that torch's own logits are worth 60 dB against float64.
    """
    source, name = member.name.split(":")
    torchvision = _torchvision()
    torch.manual_seed(0)
    if source == "timm":
        import timm

        network = timm.create_model(name, pretrained=False, num_classes=CLASSES)
    else:
        special = {"googlenet": {"aux_logits": False, "init_weights": True}}.get(name, {})
        network = torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **special)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0.5, 0.2)
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn(4, 3, side, side))
    return network.eval()


def convert(member, side, folder, *, simplify=False):
    """Make a network, export and emit it, and run all three on two images."""
    network = make(member, side)
    path, lite = Path(folder, "model.onnx"), Path(folder, "model.tflite")
    export_onnx(network, torch.zeros(1, 3, side, side), path, simplify=simplify)
    emit_tflite(path, lite)
    images = np.random.default_rng(0).standard_normal((2, 3, side, side)).astype(np.float32)
    with torch.no_grad():
        logits = network(torch.from_numpy(images)).numpy()
    description = describe(lite)
    return Converted(
        sum(prod(parameter.shape) for parameter in network.parameters()),
        describe(path).counts,
        description.counts,
        snr_db(logits, run_onnx(path, images)[0]),
        snr_db(logits, run_tflite(lite, images)),
        sum(transpose.bytes for transpose in description.transposes),
    )


def _torchvision():
    """torchvision beside a torch without its operators (the CPU wheels): two that it looks for are declared first."""
    if "torchvision" not in sys.modules:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _torchvision.library = library  # it takes its operators with it
    import torchvision

    return torchvision
