// The page: what it has, which screen is shown, and what goes wrong.
import { candidatesOf } from "./engines/engines.js";
import { told } from "./message.js";
import { readModels } from "./models.js";
import { awaited } from "./delivery.js";
import { Opened } from "./opened.js";
import { describe, limits, threadsOffered, wrapped } from "./platform.js";
import { aboutScreen } from "./screens/about.js";
import { benchmarkScreen } from "./screens/benchmark.js";
import { classifyScreen } from "./screens/classify.js";
import { element } from "./screens/elements.js";
import { selftestScreen } from "./screens/selftest.js";

const SCREENS = { classify: classifyScreen, selftest: selftestScreen, benchmark: benchmarkScreen, about: aboutScreen };
const MOST_THREADS = 8;
const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((each) => [each.id, each]));
const app = { models: [], candidates: [], threads: [], told: {}, opened: new Opened(), busy };
const shown = {};
let working = Promise.resolve();

/** Do one thing after the other; what goes wrong is said, and the page goes on. */
function busy(action) {
  working = working.then(async () => {
    page.message.hidden = true;
    try {
      await action();
    } catch (error) {
      complain(told(error));
    }
  });
  return working;
}

function complain(text) {
  page.doing.textContent = "";
  page.message.textContent = text;
  page.message.hidden = false;
}

function show() {
  const wanted = location.hash.slice(1) in SCREENS ? location.hash.slice(1) : awaited() ? "benchmark" : "classify";
  for (const name of Object.keys(SCREENS)) {
    if (name !== wanted && !page[name].hidden) shown[name]?.leave?.();
    page[name].hidden = name !== wanted;
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${wanted}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function start() {
  const missing = limits();
  page.limits.replaceChildren(...missing.map((text) => element("li", { text })));
  page.limits.hidden = missing.length === 0;
  app.told = await describe();
  app.threads = Array.from({ length: Math.min(threadsOffered(), MOST_THREADS) }, (_, place) => place + 1);
  await busy(async () => {
    app.models = await readModels(new URL("models/", location.href));
    app.candidates = candidatesOf(app.models);
    const broken = app.models.filter((model) => model.problem !== null);
    if (!app.models.length) complain("no model is embedded: run falcon-edge embed BUNDLE with the folder of this page");
    else if (broken.length) complain(broken.map((model) => model.problem).join("; "));
  });
  for (const [name, make] of Object.entries(SCREENS)) shown[name] = make(page, app);
  page.loading.remove();
  window.addEventListener("hashchange", show);
  show();
  if ("serviceWorker" in navigator && !awaited() && !wrapped()) {
    navigator.serviceWorker.register("sw.js").catch(() => {}); // it works without: only not offline
  }
}

start();
