// Whether JSON that others wrote has the types that are read of it; `place` names what is wrong in a Message.
import { Message } from "./message.js";

const fail = (place, what) => {
  throw new Message(`${place}: ${what}`);
};

/** What a text of JSON holds. */
export function parsed(text, place) {
  try {
    return JSON.parse(text);
  } catch {
    return fail(place, "is no JSON; embed the model again");
  }
}

export function object(value, place) {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : fail(place, "is no object");
}

export function list(value, place, most = 100_000) {
  if (!Array.isArray(value)) fail(place, "is no list");
  return value.length <= most ? value : fail(place, `has more than ${most} parts`);
}

export function text(value, place) {
  return typeof value === "string" ? value : fail(place, "is no text");
}

export function oneOf(value, place, known) {
  return known.includes(value) ? value : fail(place, `is ${JSON.stringify(value)}; known are ${known.join(", ")}`);
}

export function number(value, place, low = -Infinity, high = Infinity) {
  if (typeof value !== "number" || !Number.isFinite(value)) fail(place, "is no number");
  return low <= value && value <= high ? value : fail(place, `is ${value}, and lies in ${low} to ${high}`);
}

export function whole(value, place, low = 0, high = Number.MAX_SAFE_INTEGER) {
  return Number.isInteger(number(value, place, low, high)) ? value : fail(place, "is no whole number");
}

/** A path in a bundle: folders and a name, none of which starts with a dot. */
export function inside(value, place) {
  const path = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;
  return path.test(text(value, place)) ? value : fail(place, "is no path inside of the bundle");
}

/** The version of a document. */
export function version(document, place, known) {
  const found = object(document, place).schema_version;
  if (found !== known) fail(place, `is of version ${JSON.stringify(found)}, and this page reads ${known}; embed it again`);
  return document;
}
