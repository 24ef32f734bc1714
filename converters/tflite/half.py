"""A float TFLite graph whose constants are stored in float16: half the size, computed in float32."""

from ai_edge_litert import schema_py_generated as schema

from converters.tflite.builder import Builder


def halve_constants(builder: Builder) -> None:
    """Store as float16 every large constant that it holds exactly (converters.half rounds them before).

    Each stands behind a DEQUANTIZE, which runtimes fold into the weights when they load. Input, output, arithmetic and
    all other constants stay float32 (TFLite's "float16 quantization").
    """
    expanded: dict[int, int] = {}
    for operator, origin in builder.take_operators():
        for place, tensor in enumerate(operator.inputs):
            if tensor not in expanded:
                if tensor < 0 or builder.is_computed(tensor) or not builder.fits_half(tensor):
                    continue
                stored = builder.halved(f"{builder.name(tensor)}.half", tensor)
                expanded[tensor] = builder.activation(builder.name(tensor), builder.shape(tensor))
                options = schema.DequantizeOptionsT()
                builder.operator(schema.BuiltinOperator.DEQUANTIZE, [stored], [expanded[tensor]], options, 3)
            operator.inputs[place] = expanded[tensor]
        builder.append(operator, origin)
