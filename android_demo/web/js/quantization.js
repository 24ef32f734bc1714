// Integers and the numbers that they stand for: real = scale (q - zero point), in float32 as docs/formats.md says.
// A manifest counts zero points from -128; an unsigned integer counts 128 more, at the same scale.

const LIMITS = { int8: [-128, 127, 0, Int8Array], uint8: [0, 255, 128, Uint8Array] };

/** Whether a type of a file stands for other numbers. */
export const isQuantized = (dtype) => dtype in LIMITS;

/** Float32 values as integers of a type (int8 or uint8). */
export function quantize(values, { scale, zeroPoint }, dtype) {
  const [low, high, shift, Kind] = LIMITS[dtype];
  const single = Math.fround(scale);
  return Kind.from(values, (value) => {
    const rounded = halfEven(Math.fround(value / single)) + zeroPoint + shift;
    return Math.min(Math.max(rounded, low), high);
  });
}

/** What integers of a type stand for, in float32. */
export function dequantize(integers, { scale, zeroPoint }, dtype) {
  const single = Math.fround(scale);
  const shift = LIMITS[dtype][2] + zeroPoint;
  return Float32Array.from(integers, (integer) => (integer - shift) * single);
}

/** The nearest whole number; a half goes to the even neighbour. */
function halfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
