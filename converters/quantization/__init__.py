"""int8: calibrated once into a QuantizationSpec that both writers obey, so that two runtimes give the same answers."""
