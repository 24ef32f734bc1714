"use strict";
(() => {
  const root = document.documentElement;
  const PRINTED_WIDTH = 690; // pixels: of a page of A4 or Letter between its margins

  // A colour of the plots is a variable of the style, so that they follow light and dark.
  function themed(part, style) {
    if (typeof part === "string") {
      const name = /^var\((--[a-z]+)\)$/.exec(part);
      return name ? style.getPropertyValue(name[1]).trim() : part;
    }
    if (Array.isArray(part)) return part.map((each) => themed(each, style));
    if (part === null || typeof part !== "object") return part;
    return Object.fromEntries(Object.entries(part).map(([name, each]) => [name, themed(each, style)]));
  }

  function layout(figure, width) {
    return {
      height: figure.height,
      ...(width ? { width } : { autosize: true }),
      margin: { l: 8, r: 8, t: 36, b: 44 },
      paper_bgcolor: "var(--paper)",
      plot_bgcolor: "var(--paper)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: "var(--ink)" },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12 } },
      hoverlabel: { bgcolor: "var(--paper)", bordercolor: "var(--grey)", font: { color: "var(--ink)" }, align: "left" },
      hovermode: "closest",
      dragmode: false,
      barmode: "overlay",
      ...figure.layout,
    };
  }

  let figures = [];
  async function draw(width) {
    const style = getComputedStyle(root);
    const config = { displayModeBar: false, responsive: !width };
    for (const figure of figures) {
      const place = document.querySelector(`[data-figure="${figure.name}"]`);
      const drawn = themed([figure.data, layout(figure, width)], style);
      await Plotly.react(place, ...drawn, config);
    }
    root.dataset.plotsDrawn = figures.length;
  }

  function unpacked(name) {
    const packed = Uint8Array.from(atob(document.getElementById(name).textContent), (sign) => sign.charCodeAt(0));
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")));
  }

  async function load() {
    const script = document.createElement("script");
    script.textContent = await unpacked("plotly").text();
    document.head.append(script);
    figures = await unpacked("figures").json();
  }

  function sort(button) {
    const header = button.closest("th");
    const direction = header.ariaSort === "ascending" ? "descending" : "ascending";
    const sign = direction === "ascending" ? 1 : -1;
    const text = new Intl.Collator(undefined, { numeric: true });
    const rows = [...header.closest("table").tBodies[0].rows].map((row) => {
      const cell = row.cells[header.cellIndex];
      const number = cell.dataset.number;
      return { row, empty: cell.textContent === "", key: number === undefined ? cell.textContent : Number(number) };
    });
    const compare = (a, b) =>
      typeof a === "number" && typeof b === "number" ? a - b : text.compare(String(a), String(b));
    rows.sort((a, b) => a.empty - b.empty || sign * compare(a.key, b.key)); // what is empty stays last
    for (const other of header.parentNode.cells) other.ariaSort = null;
    header.ariaSort = direction;
    header.closest("table").tBodies[0].append(...rows.map(({ row }) => row));
  }

  async function copy(button) {
    const rows = [...button.closest("details").querySelectorAll("tr")];
    const cells = rows.map((row) => [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, " ").trim()));
    const lines = cells.map((row) => row.join("\t")).join("\n");
    try {
      await navigator.clipboard.writeText(lines);
    } catch {
      const area = document.createElement("textarea"); // where a page may not use the clipboard by itself
      area.value = lines;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    event.preventDefault(); // a button in a summary does not fold its table
    if (button.classList.contains("copy")) copy(button);
    else sort(button);
  });

  const folded = [...document.querySelectorAll("details:not([open])")];
  function printing(now) {
    root.classList.toggle("printing", now);
    for (const each of folded) each.open = now;
    draw(now ? PRINTED_WIDTH : undefined);
  }

  async function start() {
    try {
      await load();
      await draw();
    } catch (error) {
      for (const place of document.querySelectorAll(".plot")) place.textContent = `Not drawn: ${error.message}`;
      throw error;
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
    addEventListener("beforeprint", () => printing(true));
    addEventListener("afterprint", () => printing(false));
  }
  start();
})();
