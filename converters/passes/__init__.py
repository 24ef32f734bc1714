"""Passes over an ONNX graph: each takes a model and returns it changed, and serves every network."""
