// What a model said of an image: the image, the answers, and how long they took.
import { toImageData } from "../images.js";
import { classesOf, colour, inWords, sharesOf, softmax, spread, topK } from "../outputs.js";
import { placement } from "../pixels.js";
import { element, milliseconds, percent, table } from "./elements.js";

const SHOWN = 5;
const OPAQUE = 0.55; // of a map over its image
const LARGEST = 1024; // pixels of a side that are drawn

/**
 * The card of an answer: { title, picked (the image), pixels (what `spec` made of it), other (whether by steps that are
 * not the bundle's), outputs, times: { before, inference, after }, tested, labels }.
 */
export function answer({ title, picked, pixels, spec, other, outputs, times, tested, labels }) {
  const maps = outputs.filter((output) => output.kind === "map");
  const parts = [element("h3", { text: title }), picture({ pixels, picked, spec }, maps[0])];
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

/** The image as the model sees it; where there is a map, as it was picked, with the map over it. */
function picture({ pixels, picked, spec }, map) {
  const canvas = element("canvas", { role: "img" });
  canvas.setAttribute("aria-label", map ? `The image with ${map.name} over it` : "The image as the model sees it");
  const image = map ? picked : pixels;
  const known = image.channels === 3 || image.channels === 1;
  const shown = known ? toImageData(image, LARGEST) : new ImageData(image.width, image.height);
  Object.assign(canvas, { width: shown.width, height: shown.height });
  const context = canvas.getContext("2d");
  context.putImageData(shown, 0, 0);
  if (map) {
    const [, height, width] = map.shape;
    const layer = element("canvas", { width, height });
    layer.getContext("2d").putImageData(drawn(map), 0, 0);
    context.imageSmoothingEnabled = false;
    context.globalAlpha = OPAQUE;
    context.scale(shown.width / picked.width, shown.height / picked.height);
    const { down, across, top, left } = placement(picked, spec);
    context.drawImage(layer, -left / across, -top / down, pixels.width / across, pixels.height / down);
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
