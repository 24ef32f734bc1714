// The screen that says which models there are, what cannot run here and why, and what this device is.
import { element, table } from "./elements.js";

export function aboutScreen({ models, device }, app) {
  const rows = app.models.map((model) => {
    if (model.problem !== null) return [model.folder, element("span", { class: "bad", text: model.problem })];
    const { manifest } = model;
    const files = app.candidates.filter((candidate) => candidate.model === model);
    const list = files.map(({ exported, refusal }) =>
      element("div", {}, exported.file.split("/").pop(), refusal && element("span", { class: "quiet", text: ` — ${refusal}` })),
    );
    return [
      model.folder,
      manifest.role,
      manifest.input.shape.join(" x "),
      (manifest.macs / 1e6).toFixed(1),
      (manifest.parameters / 1e6).toFixed(2),
      element("div", {}, ...list),
    ];
  });
  const headings = ["model", "role", "input", "#MMACs", "#M parameters", "files"];
  models.replaceChildren(
    rows.length ? table("Models", headings, rows) : element("p", { text: "No model is embedded: falcon-edge embed BUNDLE and this page's folder." }),
  );
  const facts = [
    ["Browser", app.told.browser],
    ["Device", app.told.device],
    ["System", app.told.system],
    ["Threads", String(app.threads.at(-1))],
  ];
  device.replaceChildren(...facts.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]));
  return {};
}
