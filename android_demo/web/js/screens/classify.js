// The screen on which an image goes through one model, or through two side by side.
import { frameOf, startCamera, stopCamera } from "../camera.js";
import { imageOf, prepareAny } from "../images.js";
import { infer } from "../inference.js";
import { Message } from "../message.js";
import { cameraOffered } from "../platform.js";
import { median } from "../statistics.js";
import { answer } from "./answers.js";
import { element, fill, milliseconds } from "./elements.js";

const REPEATS = 15; // of one image, in turns, after one that nobody counts,
const LONGEST = 2000; // or as many as there are in so many milliseconds
const KEPT = 20; // frames of the camera whose times are put together

export function classifyScreen(page, app) {
  const { first, second, threads, file, camera, example, viewfinder, video, capture, live, stop, doing, answers } = page;
  const usable = app.candidates.filter((candidate) => candidate.refusal === null);
  const options = usable.map(({ id, title, runtime }) => [id, `${title} (${runtime.title})`]);
  fill(first, options);
  fill(second, [["", "nothing"], ...options]);
  fill(threads, app.threads.map((count) => [count, count]));
  camera.hidden = !cameraOffered();
  let image = null;
  let frames = [];

  const chosen = () =>
    [first.value, second.value].map((id) => usable.find((candidate) => candidate.id === id)).filter(Boolean);

  /** Run the image through what is chosen, and show what comes. */
  async function run(repeats) {
    const candidates = chosen();
    if (!candidates.length) throw new Message("no model is embedded that can run here; see About");
    const opened = [];
    for (const candidate of candidates) opened.push(await app.opened.get(candidate, Number(threads.value)));
    const all = candidates.map(() => []);
    const end = performance.now() + LONGEST;
    for (let turn = 0; turn < repeats && (turn < 2 || performance.now() < end); turn++) {
      for (const [place, { model, exported }] of candidates.entries()) {
        const start = performance.now();
        const { image: pixels, spec, other } = prepareAny(image, model.manifest.input);
        const prepared = performance.now() - start;
        const found = await infer(pixels, model, exported, opened[place].engine);
        all[place].push({ ...found, before: found.before + prepared, pixels, other, picked: image, spec });
      }
    }
    frames.push(all.map((rows) => (rows.length > 1 ? rows.slice(1) : rows)));
    frames = frames.slice(-KEPT);
    show(candidates, opened);
  }

  function show(candidates, opened) {
    const cards = candidates.map((candidate, place) => {
      const rows = frames.flatMap((frame) => frame[place]);
      const middle = (name) => median(rows.map((row) => row[name]));
      const last = rows.at(-1);
      const times = { before: middle("before"), inference: middle("inference"), after: middle("after") };
      const { labels } = candidate.model.manifest;
      const { title } = candidate;
      return { card: answer({ ...last, title, labels, times, tested: opened[place].tested }), times };
    });
    answers.replaceChildren(...cards.map(({ card }) => card));
    if (cards.length === 2) {
      const [one, other] = cards.map(({ times }) => times.inference);
      const faster = one >= other ? 1 : 0;
      const ratio = Math.max(one, other) / Math.min(one, other);
      const said = `${candidates[faster].title} is ${ratio.toFixed(2)} times as fast (${milliseconds(Math.min(one, other))} against ${milliseconds(Math.max(one, other))})`;
      answers.append(element("p", { class: "speedup", text: said }));
    }
    doing.textContent = "";
  }

  const again = () =>
    app.busy(async () => {
      frames = [];
      answers.replaceChildren();
      if (image === null) return;
      doing.textContent = "Computing…";
      await run(1 + REPEATS);
    });

  async function loop() {
    while (live.getAttribute("aria-pressed") === "true" && video.srcObject) {
      await app.busy(async () => {
        if (!video.videoWidth) return; // it was closed meanwhile
        image = frameOf(video);
        await run(1);
      });
      if (!page.message.hidden) live.setAttribute("aria-pressed", "false");
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }

  function close() {
    live.setAttribute("aria-pressed", "false");
    stopCamera(video);
    viewfinder.hidden = true;
  }

  file.addEventListener("change", () =>
    app.busy(async () => {
      const [picked] = file.files;
      if (!picked) return;
      image = await imageOf(picked);
      file.value = "";
      again();
    }),
  );
  example.addEventListener("click", () =>
    app.busy(async () => {
      const [candidate] = chosen();
      if (!candidate) throw new Message("no model is embedded that can run here; see About");
      const vector = candidate.model.manifest.golden.vectors.find((each) => each.pixels !== null);
      if (!vector) throw new Message(`${candidate.model.folder}: its bundle has no image; pick one`);
      const [height, width, channels] = vector.pixelsShape;
      image = { height, width, channels, pixels: await candidate.model.bytes(vector.pixels) };
      again();
    }),
  );
  camera.addEventListener("click", () =>
    app.busy(async () => {
      await startCamera(video);
      viewfinder.hidden = false;
    }),
  );
  capture.addEventListener("click", () => {
    live.setAttribute("aria-pressed", "false");
    const frame = video.videoWidth ? frameOf(video) : null; // what is seen now: other work may come first
    app.busy(async () => {
      image = frame ?? image;
      again();
    });
  });
  live.addEventListener("click", () => {
    const on = live.getAttribute("aria-pressed") !== "true";
    live.setAttribute("aria-pressed", String(on));
    answers.setAttribute("aria-live", on ? "off" : "polite"); // nobody wants to hear every frame
    frames = [];
    if (on) loop();
  });
  stop.addEventListener("click", close);
  for (const select of [first, second, threads]) select.addEventListener("change", again);
  return { leave: close };
}
