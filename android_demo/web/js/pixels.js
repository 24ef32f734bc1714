// How an image becomes a network's input, exactly as docs/formats.md says (docs/conformance/preprocessing.json).
// An image is { height, width, channels, pixels }, its pixels uint8, height x width x channels.
import { Message } from "./message.js";

const LARGEST = 2 ** 26; // values of an image on its way
const BITS = 22; // of the resize's weights

/** The image after all steps of an input's specification. */
export function prepare(image, spec) {
  for (const step of spec.steps) image = STEPS[step.op](image, step);
  const [channels, height, width] = spec.shape;
  if (image.channels === 1 && channels === 3) image = toChannels(image, { to: 3 });
  if (image.channels !== channels || image.height !== height || image.width !== width) {
    throw new Message(`the image came out of its steps as ${size(image)}, and not as ${height} x ${width} x ${channels}`);
  }
  return image;
}

/**
 * Where an image's pixels lie in the input that its steps make of it: { down, across, top, left }, so that row r of the
 * image begins at down * r + top.
 */
export function placement(image, spec) {
  let [height, width] = [image.height, image.width];
  let found = { down: 1, across: 1, top: 0, left: 0 };
  for (const step of spec.steps) {
    const next = sizeAfter(step, height, width);
    if (step.op === "pad") found = { ...found, top: found.top + step.top, left: found.left + step.left };
    if (step.op === "crop") {
      found = { ...found, top: found.top + first(step.height, height), left: found.left + first(step.width, width) };
    }
    if (step.op.startsWith("resize")) {
      const [down, across] = [next[0] / height, next[1] / width];
      found = { down: found.down * down, across: found.across * across, top: found.top * down, left: found.left * across };
    }
    [height, width] = next;
  }
  return found;
}

/** The input in float32, NCHW: p / 255, minus mean, divided by std, each rounded to float32. */
export function normalise(image, spec) {
  const area = image.height * image.width;
  const values = new Float32Array(area * image.channels);
  const table = new Float32Array(256);
  for (let channel = 0; channel < image.channels; channel++) {
    const mean = Math.fround(spec.mean[channel]);
    const std = Math.fround(spec.std[channel]);
    for (let p = 0; p < 256; p++) table[p] = Math.fround(Math.fround(p / 255) - mean) / std;
    for (let at = 0; at < area; at++) values[channel * area + at] = table[image.pixels[at * image.channels + channel]];
  }
  return values;
}

const STEPS = {
  channels: toChannels,
  pad: (image, { left, top, right, bottom, value }) =>
    placed(image, image.height + top + bottom, image.width + left + right, top, left, value),
  resize: (image, { height, width }) => resize(image, height, width),
  resize_shorter: (image, step) => resize(image, ...sizeAfter(step, image.height, image.width)),
  crop: (image, { height, width }) =>
    placed(image, height, width, first(height, image.height), first(width, image.width), 0),
};

/** Height and width after a step. */
function sizeAfter(step, height, width) {
  if (step.op === "channels") return [height, width];
  if (step.op === "pad") return [step.top + height + step.bottom, step.left + width + step.right];
  if (step.op !== "resize_shorter") return [step.height, step.width];
  const { size } = step;
  return height <= width ? [size, Math.floor((size * width) / height)] : [Math.floor((size * height) / width), size];
}

/** Where the first of so many pixels lies in the middle of a crop: below 0 where they are more than it has. */
const first = (room, pixels) => (room > pixels ? (room - pixels) >> 1 : -halfEven(pixels - room));

function toChannels(image, { to }) {
  if (image.channels === to) return image;
  const made = empty(image.height, image.width, to);
  const { pixels } = image;
  for (let at = 0; at < image.height * image.width; at++) {
    if (to === 3) made.pixels.fill(pixels[at], 3 * at, 3 * at + 3);
    else made.pixels[at] = (19595 * pixels[3 * at] + 38470 * pixels[3 * at + 1] + 7471 * pixels[3 * at + 2] + 32768) >> 16;
  }
  return made;
}

/** Half of a number that is not below 0; half of an odd one goes to the even neighbour. */
function halfEven(number) {
  const half = number >> 1;
  return number % 2 && half % 2 ? half + 1 : half;
}

/** An image of height x width filled with a value, in which `image` begins at (top, left), before its edges too. */
function placed(image, height, width, top, left, value) {
  const made = empty(height, width, image.channels);
  made.pixels.fill(value);
  const first = Math.max(left, 0);
  const last = Math.min(left + image.width, width);
  for (let y = Math.max(top, 0); y < Math.min(top + image.height, height); y++) {
    const start = (y - top) * image.width - left;
    const row = image.pixels.subarray((start + first) * image.channels, (start + last) * image.channels);
    made.pixels.set(row, (y * width + first) * image.channels);
  }
  return made;
}

function resize(image, height, width) {
  if (height < 1 || width < 1) throw new Message(`the image (${size(image)}) is too narrow for its steps`);
  if (width !== image.width) image = along(image, image.height, width, weights(image.width, width), true);
  if (height !== image.height) image = along(image, height, image.width, weights(image.height, height), false);
  return image;
}

/** For each of `to` pixels: the first of `from` that it is made of, and the weights of these, whole numbers. */
function weights(from, to) {
  const scale = from / to;
  const filter = Math.max(scale, 1);
  const found = [];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - filter + 0.5), 0);
    const last = Math.min(Math.trunc(centre + filter + 0.5), from);
    const taps = [];
    let sum = 0;
    for (let t = first; t < last; t++) {
      const weight = Math.max(0, 1 - Math.abs((t - centre + 0.5) / filter));
      taps.push(weight);
      sum += weight;
    }
    found.push({ first, taps: Int32Array.from(taps, (weight) => Math.floor(0.5 + (weight / sum) * 2 ** BITS)) });
  }
  return found;
}

/** An image of height x width, made along one direction. */
function along(image, height, width, weights, across) {
  const { channels, pixels } = image;
  const made = empty(height, width, channels);
  const step = across ? channels : image.width * channels;
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, taps } = weights[across ? x : y];
      const start = across ? y * image.width * channels + first * step : first * step + x * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (BITS - 1);
        for (let tap = 0, from = start + channel; tap < taps.length; tap++, from += step) sum += taps[tap] * pixels[from];
        made.pixels[at++] = Math.min(Math.max(sum >> BITS, 0), 255);
      }
    }
  }
  return made;
}

function empty(height, width, channels) {
  if (height * width * channels > LARGEST) {
    throw new Message(`the image would have ${height} x ${width} pixels on its way, which is too large`);
  }
  return { height, width, channels, pixels: new Uint8Array(height * width * channels) };
}

const size = ({ height, width, channels }) => `${height} x ${width} x ${channels}`;
