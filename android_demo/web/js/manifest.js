// What a bundle's manifest.json says of a model, checked as far as it is read (docs/schemas/manifest.json).
import * as check from "./checks.js";
import { Message } from "./message.js";

export const VERSION = 2;
const MOST_VALUES = 2 ** 24; // of an input; steps have numbers up to 2 ** 15, as falcon_edge/preprocessing.py says
const NUMBERS = {
  channels: { to: [1, 3] },
  pad: { left: [0], top: [0], right: [0], bottom: [0], value: [0, 255] },
  resize: { height: [1], width: [1] },
  resize_shorter: { size: [1] },
  crop: { height: [1], width: [1] },
};

/** The manifest of a text of JSON; `place` is what it is called in a Message. */
export function readManifest(text, place) {
  const document = check.version(check.parsed(text, place), place, VERSION);
  const outputs = (name) => check.list(document[name] ?? [], `${place}: ${name}`).map((each) => output(each, place));
  const head = outputs("head");
  const lineage = check.object(document.lineage, `${place}: lineage`);
  const parent = lineage.parent == null ? null : check.object(lineage.parent, `${place}: lineage.parent`);
  return {
    name: check.text(document.name, `${place}: name`),
    labels: check.list(document.labels, `${place}: labels`).map((label) => check.text(label, `${place}: labels`)),
    input: input(document.input, `${place}: input`),
    outputs: head.length ? head : outputs("outputs"),
    exports: check.list(document.exports ?? [], `${place}: exports`).map((each) => exported(each, `${place}: exports`)),
    quantization: quantization(document.quantization ?? null, `${place}: quantization`),
    golden: golden(document.golden ?? {}, `${place}: golden`),
    parameters: check.whole(document.parameters, `${place}: parameters`),
    macs: check.whole(document.macs, `${place}: macs`),
    role: check.oneOf(lineage.role, `${place}: lineage.role`, ["standard", "compressed"]),
    identity: check.text(lineage.identity, `${place}: lineage.identity`),
    parentIdentity: parent && check.text(parent.identity, `${place}: lineage.parent.identity`),
  };
}

/** The tolerances of a file's outputs on a runtime, in the order of the outputs. */
export function tolerancesOf(manifest, file, runtime) {
  const chosen = new Map();
  for (const each of manifest.golden.tolerances) {
    const own = each.runtime === runtime;
    if (each.file === file && (own || (each.runtime === null && !chosen.has(each.output)))) chosen.set(each.output, each);
  }
  return [...chosen.values()];
}

function input(value, place) {
  check.object(value, place);
  const shape = check.list(value.shape, `${place}.shape`, 3).map((size) => check.whole(size, `${place}.shape`, 1));
  if (shape.length !== 3) throw new Message(`${place}.shape: is not channels, height and width`);
  if (shape.reduce((one, other) => one * other) > MOST_VALUES) throw new Message(`${place}.shape: is too large`);
  check.oneOf(value.dtype ?? "float32", `${place}.dtype`, ["float32"]);
  check.oneOf(value.layout ?? "NCHW", `${place}.layout`, ["NCHW"]);
  const numbers = (name, low) => {
    const found = check.list(value[name], `${place}.${name}`).map((each) => check.number(each, `${place}.${name}`, low));
    if (found.length !== shape[0]) throw new Message(`${place}.${name}: needs ${shape[0]} numbers, one a channel`);
    return found;
  };
  return {
    name: check.text(value.name ?? "input", `${place}.name`),
    shape,
    mean: numbers("mean"),
    std: numbers("std", Number.MIN_VALUE),
    steps: check.list(value.steps ?? [], `${place}.steps`, 100).map((each) => step(each, `${place}.steps`)),
  };
}

function step(value, place) {
  const op = check.oneOf(check.object(value, place).op, `${place}.op`, Object.keys(NUMBERS));
  const found = { op };
  for (const [name, [low, high]] of Object.entries(NUMBERS[op])) {
    const given = op === "pad" && name === "value" ? (value[name] ?? 0) : value[name];
    found[name] = check.whole(given, `${place}: ${op}.${name}`, low, high ?? 2 ** 15);
  }
  if (op === "channels") check.oneOf(found.to, `${place}: channels.to`, [1, 3]);
  return found;
}

function output(value, place) {
  check.object(value, `${place}: outputs`);
  return {
    name: check.text(value.name, `${place}: outputs.name`),
    shape: check.list(value.shape, `${place}: outputs.shape`, 16).map((size) => check.whole(size, `${place}: outputs.shape`)),
    kind: check.oneOf(value.kind, `${place}: outputs.kind`, ["classes", "map", "values"]),
  };
}

function exported(value, place) {
  check.object(value, place);
  const layouts = Object.entries(check.object(value.layouts ?? {}, `${place}.layouts`));
  return {
    file: check.inside(value.file, `${place}.file`),
    target: check.text(value.target, `${place}.target`),
    precision: check.oneOf(value.precision, `${place}.precision`, ["fp32", "fp16", "int8"]),
    macs: check.whole(value.macs, `${place}.macs`),
    layouts: new Map(layouts.map(([name, each]) => [name, check.oneOf(each, `${place}.layouts`, ["NCHW", "NHWC"])])),
  };
}

function quantization(value, place) {
  if (value === null) return null;
  const meaning = (each, where) => ({
    scale: check.number(check.object(each, where).scale, `${where}.scale`, Number.MIN_VALUE),
    zeroPoint: check.whole(each.zero_point, `${where}.zero_point`, -128, 127),
  });
  const outputs = Object.entries(check.object(check.object(value, place).outputs, `${place}.outputs`));
  return {
    input: meaning(value.input, `${place}.input`),
    outputs: new Map(outputs.map(([name, each]) => [name, meaning(each, `${place}.outputs`)])),
  };
}

function golden(value, place) {
  check.object(value, place);
  const vectors = check.list(value.vectors ?? [], `${place}.vectors`, 1000).map((each) => ({
    input: check.inside(check.object(each, `${place}.vectors`).input, `${place}.vectors.input`),
    pixels: each.pixels == null ? null : check.inside(each.pixels, `${place}.vectors.pixels`),
    pixelsShape: each.pixels == null ? null : sizes(each.pixels_shape, `${place}.vectors.pixels_shape`),
    outputs: new Map(
      Object.entries(check.object(each.outputs ?? {}, `${place}.vectors.outputs`)).map(([file, name]) => [
        file,
        check.inside(name, `${place}.vectors.outputs`),
      ]),
    ),
  }));
  const optional = (number, where) => (number == null ? null : check.number(number, where, 0));
  const tolerances = check.list(value.tolerances ?? [], `${place}.tolerances`).map((each) => ({
    file: check.text(check.object(each, `${place}.tolerances`).file, `${place}.tolerances.file`),
    output: check.text(each.output, `${place}.tolerances.output`),
    runtime: each.runtime == null ? null : check.text(each.runtime, `${place}.tolerances.runtime`),
    rtol: optional(each.rtol, `${place}.tolerances.rtol`),
    maxLsb: optional(each.max_lsb, `${place}.tolerances.max_lsb`),
    differing: optional(each.differing, `${place}.tolerances.differing`),
    classes: each.classes === true,
  }));
  return { vectors, tolerances };
}

function sizes(value, place) {
  const found = check.list(value, place, 3).map((size) => check.whole(size, place, 1, 2 ** 15));
  if (found.length !== 3) throw new Message(`${place}: is not height, width and channels`);
  return found;
}
