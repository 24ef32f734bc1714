// Whether this device computes what the export computed: the bundle's golden inputs through an engine.
import { inputFor } from "./inference.js";
import { tolerancesOf } from "./manifest.js";
import { Message } from "./message.js";
import { normalise, prepare } from "./pixels.js";

const KINDS = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
};

/**
 * The agreement of every output with the golden ones, as results have it, and whether all of it is as it must be:
 * { agreement, passed, vectors, worst }. `worst` is the output that is off, or the furthest off, in words.
 */
export async function selfTest(model, exported, engine, runtime) {
  const vectors = model.manifest.golden.vectors.filter((vector) => vector.outputs.has(exported.file));
  const tolerances = tolerancesOf(model.manifest, exported.file, runtime);
  if (!vectors.length || !tolerances.length) throw new Message("the bundle has no golden answers for this file");
  const expected = [];
  const found = [];
  for (const vector of vectors) {
    const input = numbers(await model.bytes(vector.input), "float32", vector.input);
    if (vector.pixels !== null) await checkPixels(model, vector, input);
    found.push((await engine.infer(inputFor(input, model.manifest, engine))).found);
    expected.push(split(await model.bytes(vector.outputs.get(exported.file)), engine, found.at(-1)));
  }
  const agreement = tolerances.map((tolerance, place) =>
    agreementOf(
      expected.map((row) => row?.[place]),
      found.map((row) => row[place]),
      tolerance,
    ),
  );
  const furthest = agreement.reduce((one, other) => ((other.max_relative ?? 0) > (one.max_relative ?? 0) ? other : one));
  const worst = agreement.find((each) => !each.within_tolerance) ?? furthest;
  return {
    agreement,
    passed: agreement.every((each) => each.within_tolerance),
    vectors: vectors.length,
    worst: inWords(worst),
  };
}

function inWords({ output, max_abs, max_relative }) {
  if (max_abs === null) return `${output}: cannot be compared`;
  if (max_abs === 0) return `${output}: identical`;
  const far = max_relative === null ? max_abs : `${Number((100 * max_relative).toPrecision(2))}% of the largest value`;
  return `${output}: off by ${far}`;
}

/** Raise a Message if the golden image does not become the golden input here, number for number. */
async function checkPixels(model, vector, input) {
  const [height, width, channels] = vector.pixelsShape;
  const pixels = await model.bytes(vector.pixels);
  if (pixels.length !== height * width * channels) throw new Message(`${vector.pixels}: is not as large as it should be`);
  const made = normalise(prepare({ height, width, channels, pixels }, model.manifest.input), model.manifest.input);
  if (made.length !== input.length || made.some((value, place) => value !== input[place])) {
    throw new Message(`${vector.pixels}: becomes another input here than in Python; report this`);
  }
}

/** The outputs in a golden file, in the types of the engine's; null where it has more or fewer bytes than these. */
function split(bytes, engine, found) {
  const sizes = found.map((values, place) => values.length * kindOf(engine.outputs[place].dtype).BYTES_PER_ELEMENT);
  if (sizes.reduce((one, other) => one + other, 0) !== bytes.length) return null;
  let at = 0;
  return sizes.map((size, place) => numbers(bytes.slice(at, (at += size)), engine.outputs[place].dtype, ""));
}

function kindOf(dtype) {
  if (!(dtype in KINDS)) throw new Message(`an output is of ${dtype}, which is not known here`);
  return KINDS[dtype];
}

function numbers(bytes, dtype, place) {
  const Kind = kindOf(dtype);
  if (bytes.length % Kind.BYTES_PER_ELEMENT) throw new Message(`${place}: is not as large as it should be`);
  return new Kind(bytes.slice().buffer); // browsers run on little-endian machines, as the files are written
}

/** How outputs agree over all vectors: runtime_bench/golden.py in JavaScript. */
export function agreementOf(expected, found, tolerance) {
  const told = { output: tolerance.output, vectors: found.length };
  const finite = (values) => values.every((value) => Number.isFinite(Number(value)));
  const comparable = found.every(
    (values, row) => values && expected[row]?.length === values.length && finite(values) && finite(expected[row]),
  );
  if (!comparable) {
    const classes_equal = tolerance.classes ? 0 : null;
    return { ...told, max_abs: null, max_relative: null, snr_db: null, classes_equal, within_tolerance: false };
  }
  let [signal, noise, max_abs, largest, count, unequal, equal] = [0, 0, 0, 0, 0, 0, 0];
  found.forEach((values, row) => {
    values.forEach((value, place) => {
      const golden = Number(expected[row][place]);
      const difference = Number(value) - golden;
      signal += golden * golden;
      noise += difference * difference;
      max_abs = Math.max(max_abs, Math.abs(difference));
      largest = Math.max(largest, Math.abs(golden));
      unequal += difference === 0 ? 0 : 1;
    });
    count += values.length;
    equal += highest(values) === highest(expected[row]) ? 1 : 0;
  });
  const max_relative = max_abs === 0 ? 0 : largest > 0 ? max_abs / largest : null;
  const { rtol, maxLsb, differing } = tolerance;
  return {
    ...told,
    max_abs,
    max_relative,
    snr_db: noise === 0 || signal === 0 ? null : 10 * Math.log10(signal / noise),
    classes_equal: tolerance.classes ? equal : null,
    within_tolerance:
      (rtol === null || (max_relative !== null && max_relative <= rtol)) &&
      (maxLsb === null || max_abs <= maxLsb) &&
      (differing === null || unequal / count <= differing) &&
      (!tolerance.classes || equal === found.length),
  };
}

const highest = (values) => values.reduce((best, value, place) => (value > values[best] ? place : best), 0);
