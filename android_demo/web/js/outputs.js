// What people see of outputs: the best classes, maps as colours, anything else as numbers.

/** Shares of 1 by softmax. */
export function softmax(scores) {
  const highest = scores.reduce((one, other) => Math.max(one, other), -Infinity);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - highest));
  const sum = powers.reduce((one, other) => one + other, 0);
  return powers.map((power) => power / sum);
}

/** The places of the `count` highest scores; of equal ones the first comes first, and what is no number last. */
export function topK(scores, count) {
  const value = (place) => (Number.isNaN(scores[place]) ? -Infinity : scores[place]);
  const places = Array.from(scores, (_, place) => place);
  return places.sort((one, other) => value(other) - value(one) || one - other).slice(0, count);
}

/** The class of every pixel of a map (classes, height, width): the highest, of equal ones the first. */
export function classesOf(map, [count, height, width]) {
  const area = height * width;
  const found = new Uint16Array(area);
  for (let at = 0; at < area; at++) {
    for (let place = 1; place < count; place++) {
      if (map[place * area + at] > map[found[at] * area + at]) found[at] = place;
    }
  }
  return found;
}

/** How many pixels each class has, the most frequent first: [class, share]. */
export function sharesOf(classes) {
  const counts = new Map();
  for (const each of classes) counts.set(each, (counts.get(each) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1]).map(([each, count]) => [each, count / classes.length]);
}

/** A colour for a class: red, green and blue that lie apart from those of its neighbours. */
export function colour(place) {
  const hue = (place * 0.61803398875) % 1;
  const channel = (shift) => Math.abs(((hue + shift) * 6) % 6 - 3) - 1;
  const light = [1, 0.75, 0.5][place % 3];
  return [1, 2 / 3, 1 / 3].map((shift) => Math.round(255 * light * Math.min(Math.max(channel(shift), 0), 1)));
}

/** Numbers from 0 to 255 of values between their lowest and their highest. */
export function spread(values) {
  const numbers = values.filter(Number.isFinite);
  const low = numbers.reduce((one, other) => Math.min(one, other), Infinity);
  const high = numbers.reduce((one, other) => Math.max(one, other), -Infinity);
  return Uint8ClampedArray.from(values, (value) => (high > low ? (255 * (value - low)) / (high - low) : 0));
}

/** Values in words: the first ones, and how many more. */
export function inWords(values, shown = 8) {
  const words = Array.from(values.slice(0, shown), (value) => Number(Number(value).toPrecision(5)).toString());
  return words.join(", ") + (values.length > shown ? `, and ${values.length - shown} more` : "");
}
