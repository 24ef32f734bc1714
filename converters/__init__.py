"""Any nn.Module to ONNX and TFLite, with proof that the answers stay the same.

Knows nothing of FALCON and nothing of benchmarks: it takes modules, ONNX graphs and arrays.
"""
