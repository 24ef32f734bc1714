"""The direct emitter: an ONNX graph as a TFLite flatbuffer, without TensorFlow.

`emit.emit_tflite` walks the graph; every family of operators is one file in `operators`; `layout` says where values
lie in memory; `builder` knows the schema.
"""
