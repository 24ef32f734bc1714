"""The direct emitter: an ONNX graph as a TFLite flatbuffer, without TensorFlow.

`emit.emit_tflite` walks the graph; every family of operators is one file in `operators`; `builder` knows the schema.
"""
