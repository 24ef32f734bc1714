"""litert-torch's quantizer: TARGET (int8) from SOURCE, a float .tflite, by CALIBRATION, a .npy (N, H, W, C)."""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe


def main(source: str, calibration: str, target: str) -> None:
    (signature,) = Interpreter(source).get_signature_list().values()
    images = np.load(calibration)
    made = quantizer.Quantizer(source, recipe.static_wi8_ai8())
    seen = made.calibrate({"serving_default": [{signature["inputs"][0]: image[None]} for image in images]})
    made.quantize(seen).export_model(target, overwrite=True)


main(*sys.argv[1:])
