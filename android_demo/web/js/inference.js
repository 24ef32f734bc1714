// An image through an engine: what the file takes is made of it, and what it gives is made what the network means.
import { Message } from "./message.js";
import { normalise } from "./pixels.js";
import { dequantize, isQuantized, quantize } from "./quantization.js";

/** What an engine takes for float32 values in NCHW: their layout and type are those of the file. */
export function inputFor(values, manifest, { input }) {
  const [channels, height, width] = manifest.input.shape;
  const wanted = input.layout === "NHWC" ? [1, height, width, channels] : [1, channels, height, width];
  if (input.shape.join() !== wanted.join()) {
    throw new Message(`the file takes ${input.shape.join(" x ")}, and its manifest says ${wanted.join(" x ")}`);
  }
  if (input.layout === "NHWC" && channels > 1) values = toLast(values, channels, height * width);
  if (!isQuantized(input.dtype)) return values;
  if (manifest.quantization === null) throw new Message("the file takes integers, and its manifest does not say which");
  return quantize(values, manifest.quantization.input, input.dtype);
}

/** The outputs of an engine as the network has them: [{ name, shape, kind, values }], float32 in NCHW. */
export function meant(found, manifest, exported, engine) {
  if (found.length !== manifest.outputs.length) {
    throw new Message(`the file gives ${found.length} outputs, and its manifest says ${manifest.outputs.length}`);
  }
  return manifest.outputs.map((output, place) => {
    const { dtype } = engine.outputs[place];
    const count = output.shape.reduce((one, other) => one * other, 1);
    let values = found[place];
    if (values.length !== count) {
      throw new Message(`${output.name}: the file gives ${values.length} numbers, and its manifest says ${count}`);
    }
    const meaning = manifest.quantization?.outputs.get(output.name);
    if (isQuantized(dtype) && meaning) values = dequantize(values, meaning, dtype);
    else if (!(values instanceof Float32Array)) values = Float32Array.from(values, Number);
    if (exported.layouts.get(output.name) === "NHWC" && output.shape.length === 3) {
      values = toFirst(values, output.shape[0], output.shape[1] * output.shape[2]);
    }
    return { name: output.name, shape: output.shape, kind: output.kind, values };
  });
}

/** One inference of pixels (as `prepare` gives them) by an engine of apart.js, and its three times in milliseconds. */
export async function infer(pixels, { manifest }, exported, engine) {
  const start = performance.now();
  const input = inputFor(normalise(pixels, manifest.input), manifest, engine);
  const made = performance.now();
  const { found, took } = await engine.infer(input);
  const ran = performance.now();
  const outputs = meant(found, manifest, exported, engine);
  return { outputs, before: made - start, inference: took, after: performance.now() - ran };
}

function toLast(values, channels, area) {
  const made = new values.constructor(values.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let at = 0; at < area; at++) made[at * channels + channel] = values[channel * area + at];
  }
  return made;
}

function toFirst(values, channels, area) {
  const made = new values.constructor(values.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let at = 0; at < area; at++) made[channel * area + at] = values[at * channels + channel];
  }
  return made;
}
