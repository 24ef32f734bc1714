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

  const FONT = 13, SMALL = 12, LINE = 17, GAP = 12, EDGE = 24; // pixels: of labels and legends, of a line, between things, at an edge
  const SIGNS = /&(?:amp|lt|gt);|\P{M}\p{M}*/gu; // of a label: an entity is one of them
  const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
  const pencil = document.createElement("canvas").getContext("2d");
  const family = () => getComputedStyle(document.body).fontFamily;

  function measured(label, size) {
    pencil.font = `${size}px ${family()}`;
    return pencil.measureText(label.replace(SIGNS, (sign) => ENTITIES[sign] ?? sign)).width;
  }

  const widest = (labels, size) => Math.max(0, ...labels.map((each) => measured(each, size)));

  // Lines of a label no wider than `width`, broken behind a blank or a sign if the line has one, else anywhere.
  function lines(label, width, size) {
    const found = [];
    let line = [];
    for (const sign of label.match(SIGNS) ?? []) {
      line.push(sign);
      if (line.length > 1 && measured(line.join(""), size) > width) {
        const end = line.slice(0, -1).findLastIndex((each) => /^[\s,;/_-]$/.test(each)) + 1;
        found.push(line.splice(0, end || line.length - 1).join("").trimEnd());
        while (line[0] === " ") line.shift();
      }
    }
    return [...found, line.join("")];
  }

  const wrapped = (label, width, size) => lines(label, width, size).join("<br>");

  // Those labels of an axis that do not meet: plotly.js would turn all of them.
  function spaced(axis, width) {
    if (axis.type !== "log") return axis;
    const [low, high] = axis.range;
    let free = -Infinity;
    const ticktext = axis.ticktext.map((label, number) => {
      const middle = ((Math.log10(axis.tickvals[number]) - low) / (high - low)) * width;
      const half = measured(label, FONT) / 2 + 4;
      if (middle - half < free) return "";
      free = middle + half;
      return label;
    });
    return { ...axis, ticktext };
  }

  // A legend over the rows: how many lines it takes.
  function legendLines(names, width) {
    const entry = widest(names, SMALL) + 50; // with its symbol
    return Math.ceil(names.length / Math.max(1, Math.floor(width / entry)));
  }

  // Rows with their labels to the left where there is room for them, else above their marks.
  function inRows({ data, layout, height }, width) {
    const { ticktext: labels, tickvals: places } = layout.yaxis;
    const notes = layout.annotations;
    const names = data.filter((each) => each.name && each.showlegend !== false).map((each) => each.name);
    const noted = widest(notes.map((each) => each.text), FONT) + (notes.length ? GAP : 0);
    const left = widest(labels, FONT) + GAP;
    const above = left > 0.4 * width;
    const margin = { l: above ? EDGE : left, r: above ? EDGE : EDGE + noted, b: 44 };
    margin.t = 19 + LINE * legendLines(names, width - margin.l - margin.r);
    height += margin.t - 36;
    layout = { ...layout, xaxis: { ...layout.xaxis, automargin: false } }; // its labels have their room
    const beside = { showarrow: false, xref: "paper", font: { size: FONT }, bgcolor: "var(--paper)", borderpad: 0 };
    if (!above) {
      const annotations = notes.map((each) => ({ ...each, ...beside, x: 1, xanchor: "left", xshift: GAP }));
      const yaxis = { ...layout.yaxis, ticktext: labels.map((each) => `${each}  `) };
      return { data, height, layout: { ...layout, margin, annotations, yaxis } };
    }
    const broken = labels.map((each) => wrapped(each, width - GAP - noted, FONT));
    const head = LINE * Math.max(...broken.map((each) => each.split("<br>").length)) + 4;
    const row = (height - margin.t - margin.b) / labels.length;
    const share = row / (row + head); // what is left of a row for its marks, at its bottom
    const moved = (y) => Math.round(y) + (y - Math.round(y)) * share + (1 - share) / 2;
    const marks = data.map((each) => ({
      ...each, y: each.y.map(moved), ...(each.type === "bar" ? { width: each.width * share } : {}),
    }));
    const text = (words, place, side) => ({
      ...beside, text: words, y: place - 0.5, yanchor: "top", align: side,
      ...(side === "left" ? { x: 0, xanchor: "left", xshift: -EDGE } : { x: 1, xanchor: "right", xshift: EDGE }),
    });
    const annotations = [
      ...broken.map((each, number) => text(each, places[number], "left")),
      ...notes.map((each) => text(each.text, each.y, "right")),
    ];
    const yaxis = { ...layout.yaxis, showticklabels: false, range: [labels.length - 0.5, -0.5] };
    return { data: marks, height: height + head * labels.length, layout: { ...layout, margin, annotations, yaxis } };
  }

  // A cloud of points with its legend to the right where there is room for it, else below.
  function inCloud({ data, layout, height }, width) {
    const named = data.filter((each) => each.name && each.showlegend !== false);
    const beside = widest(named.map((each) => each.name), SMALL) + 50;
    const margin = { l: 8, r: EDGE, t: 12, b: 44 };
    if (beside <= 0.4 * width) {
      const legend = { orientation: "v", x: 1.02, y: 1, font: { size: SMALL } };
      return { data, height, layout: { ...layout, margin, legend } };
    }
    const names = new Map(named.map(({ name }) => [name, wrapped(name, width - 60, SMALL)]));
    const below = [...names.values()].reduce((sum, each) => sum + 16 * each.split("<br>").length + 4, GAP);
    const legend = { orientation: "v", x: 0, xanchor: "left", y: 0, yref: "container", yanchor: "bottom", maxheight: below };
    const marks = data.map((each) => (names.has(each.name) ? { ...each, name: names.get(each.name) } : each));
    return {
      data: marks,
      height: height + below,
      layout: { ...layout, margin: { ...margin, b: margin.b + GAP + below }, legend: { ...legend, font: { size: SMALL } } },
    };
  }

  function fitted(figure, width) {
    const { data, height, layout } = figure.layout.yaxis.ticktext && figure.layout.annotations
      ? inRows(figure, width) : inCloud(figure, width);
    const inside = width - (layout.margin.l + layout.margin.r);
    const common = {
      width,
      height,
      paper_bgcolor: "var(--paper)",
      plot_bgcolor: "var(--paper)",
      font: { family: family(), size: FONT, color: "var(--ink)" },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: SMALL } },
      hoverlabel: { bgcolor: "var(--paper)", bordercolor: "var(--grey)", font: { color: "var(--ink)" }, align: "left" },
      hovermode: "closest",
      dragmode: false,
      barmode: "overlay",
    };
    return { data, layout: { ...common, ...layout, xaxis: spaced(layout.xaxis, inside) } };
  }

  let figures = [];
  async function draw(width) {
    const style = getComputedStyle(root);
    for (const figure of figures) {
      const place = document.querySelector(`[data-figure="${figure.name}"]`);
      const { data, layout } = fitted(figure, width ?? place.clientWidth);
      place.style.height = `${layout.height}px`;
      await Plotly.react(place, themed(data, style), themed(layout, style), { displayModeBar: false });
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

  // A cell for a spreadsheet, which is to take no text for a formula.
  function copied(cell) {
    const text = cell.textContent.replace(/\s+/g, " ").trim();
    return cell.dataset.number === undefined && /^[=+\-@＝＋－＠]/.test(text) ? `'${text}` : text;
  }

  async function copy(button) {
    const rows = [...button.closest(".table").querySelectorAll("tr")];
    const cells = rows.map((row) => [...row.cells].map(copied));
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
    addEventListener("resize", () => root.classList.contains("printing") || draw());
    addEventListener("beforeprint", () => printing(true));
    addEventListener("afterprint", () => printing(false));
  }
  start();
})();
