// Pictures of the browser as images for pixels.js: uint8, upright, grey (1 channel) or RGB (3).
import { Message } from "./message.js";
import { prepare } from "./pixels.js";

const LARGEST = 2 ** 25; // pixels: 32 megapixels, what phones take

/** The image in a file that was picked. */
export async function imageOf(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Message(`${file.name || "the picture"}: this browser cannot read it as a picture`);
  }
  try {
    return pictureOf(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

/** The image of what can be drawn (a bitmap, a frame of a video), of its size. */
export function pictureOf(source, width, height) {
  if (!(width > 0 && height > 0)) throw new Message("the picture has no pixels");
  if (width * height > LARGEST) throw new Message(`the picture has ${width} x ${height} pixels, which is too large`);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, width, height);
  return fromRgba(context.getImageData(0, 0, width, height).data, width, height);
}

/** The image of RGBA pixels: grey where all of its colours are. */
export function fromRgba(rgba, width, height) {
  const area = width * height;
  let grey = true;
  for (let at = 0; grey && at < 4 * area; at += 4) grey = rgba[at] === rgba[at + 1] && rgba[at] === rgba[at + 2];
  const channels = grey ? 1 : 3;
  const pixels = new Uint8Array(area * channels);
  for (let at = 0, to = 0; at < 4 * area; at += 4) {
    for (let channel = 0; channel < channels; channel++) pixels[to++] = rgba[at + channel];
  }
  return { height, width, channels, pixels };
}

/** An image as the browser draws it: every n-th pixel, so that neither side has more than `most`. */
export function toImageData({ height, width, channels, pixels }, most = Infinity) {
  const every = Math.max(1, Math.ceil(Math.max(height, width) / most));
  const data = new ImageData(Math.ceil(width / every), Math.ceil(height / every));
  const last = channels === 3 ? 1 : 0;
  for (let y = 0, at = 0; y < height; y += every) {
    for (let x = 0; x < width; x += every, at += 4) {
      const from = (y * width + x) * channels;
      data.data[at] = pixels[from];
      data.data[at + 1] = pixels[from + last];
      data.data[at + 2] = pixels[from + 2 * last];
      data.data[at + 3] = 255;
    }
  }
  return data;
}

/**
 * The pixels of an input, of any image, the specification that led there, and whether its steps are not the bundle's.
 *
 * A bundle whose images all have one size has no steps for others: these lose their edges and get that size.
 */
export function prepareAny(image, spec) {
  try {
    return { image: prepare(image, spec), spec, other: false };
  } catch (error) {
    const [channels, height, width] = spec.shape;
    if (!(error instanceof Message) || (channels !== 1 && channels !== 3)) throw error;
    const steps = [
      { op: "channels", to: channels },
      { op: "resize_shorter", size: Math.max(height, width) },
      { op: "crop", height, width },
    ];
    const own = { ...spec, steps };
    return { image: prepare(image, own), spec: own, other: true };
  }
}
