// Elements of the page, made of what they are and hold.

/** An element: its tag, its attributes (`text` is its text, `class` its classes), its children. */
export function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  if (text != null) made.textContent = text;
  made.append(...children.filter((child) => child != null));
  return made;
}

/** A table of texts and elements; columns whose heading begins with # hold numbers. */
export function table(caption, headings, rows) {
  const kinds = headings.map((heading) => (heading.startsWith("#") ? "number" : null));
  const cell = (value, place) => {
    const made = element("td", { class: kinds[place] });
    made.append(value ?? "");
    return made;
  };
  const head = headings.map((heading, place) =>
    element("th", { scope: "col", class: kinds[place], text: heading.replace(/^#/, "") }),
  );
  return element(
    "table",
    { "aria-label": caption },
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))),
  );
}

/** Give a select one option a value: [value, text]; the chosen one stays chosen if it is still there. */
export function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => element("option", { value, text })));
  if (options.some(([value]) => String(value) === before)) select.value = before;
}

export const milliseconds = (value) => `${value < 10 ? value.toFixed(3) : value.toFixed(1)} ms`;
export const percent = (share) => `${(100 * share).toFixed(1)}%`;
