// What a model said of an image: the image as the model saw it, its answers, and how long they took.
import { toImageData } from "../images.js";
import { classesOf, colour, inWords, sharesOf, softmax, spread, topK } from "../outputs.js";
import { element, milliseconds, percent, table } from "./elements.js";

const SHOWN = 5;
const OPAQUE = 0.55; // of a map over its image

/** The card of an answer: { title, pixels, other, outputs, times: { before, inference, after }, tested, labels }. */
export function answer({ title, pixels, other, outputs, times, tested, labels }) {
  const maps = outputs.filter((output) => output.kind === "map");
  const parts = [element("h3", { text: title }), picture(pixels, maps[0])];
  if (other) {
    parts.push(element("p", { class: "quiet", text: "The bundle has no steps for such an image: it was cut to a square and resized." }));
  }
  for (const output of outputs) parts.push(...described(output, labels));
  const rows = [
    ["pre-processing", milliseconds(times.before)],
    ["inference", milliseconds(times.inference)],
    ["post-processing", milliseconds(times.after)],
  ];
  parts.push(table(`Times of ${title}`, ["step", "#time"], rows));
  const good = tested.passed;
  parts.push(element("p", { class: good ? "good" : "bad", text: `Self-test: ${tested.text}` }));
  return element("section", { class: "answer", "aria-label": title }, ...parts);
}

/** The image, with a map drawn over it. */
function picture(pixels, map) {
  const canvas = element("canvas", { role: "img", width: pixels.width, height: pixels.height });
  canvas.setAttribute("aria-label", map ? `The image with ${map.name} over it` : "The image as the model sees it");
  const shown = pixels.channels === 3 || pixels.channels === 1 ? toImageData(pixels) : new ImageData(pixels.width, pixels.height);
  const context = canvas.getContext("2d");
  context.putImageData(shown, 0, 0);
  if (map) {
    const [, height, width] = map.shape;
    const layer = element("canvas", { width, height });
    layer.getContext("2d").putImageData(drawn(map), 0, 0);
    context.imageSmoothingEnabled = false;
    context.globalAlpha = OPAQUE;
    context.drawImage(layer, 0, 0, pixels.width, pixels.height);
  }
  return canvas;
}

/** A map as colours: its classes; of one channel the values, of three that look like an image the image. */
function drawn({ shape, values }) {
  const [count, height, width] = shape;
  const data = new ImageData(width, height);
  const area = height * width;
  const classes = count > 1 ? classesOf(values, shape) : null;
  const grey = count > 1 ? null : spread(values);
  for (let at = 0; at < area; at++) {
    const rgb = classes ? colour(classes[at]) : [grey[at], grey[at], grey[at]];
    data.data.set([...rgb, 255], 4 * at);
  }
  return data;
}

function described(output, labels) {
  const name = (place) => labels[place] ?? `class ${place}`;
  if (output.kind === "classes") {
    const shares = softmax(output.values);
    const rows = topK(output.values, SHOWN).map((place) => [
      name(place),
      percent(shares[place]),
      element("meter", { min: 0, max: 1, value: shares[place], "aria-label": `${name(place)}: ${percent(shares[place])}` }),
    ]);
    return [table(`Best classes of ${output.name}`, ["class", "#confidence", ""], rows)];
  }
  if (output.kind === "map" && output.shape[0] > 1) {
    const shares = sharesOf(classesOf(output.values, output.shape)).slice(0, SHOWN);
    const rows = shares.map(([place, share]) => [swatch(colour(place)), name(place), percent(share)]);
    return [table(`Classes of ${output.name}`, ["", "class", "#of the pixels"], rows)];
  }
  const shape = output.shape.join(" x ") || "one number";
  return [element("p", { text: `${output.name} (${shape}): ${inWords(output.values)}` })];
}

function swatch([red, green, blue]) {
  const made = element("span", { class: "swatch", "aria-hidden": "true" });
  made.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
  return made;
}
