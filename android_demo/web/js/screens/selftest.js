// The screen that tests every embedded file by its golden vectors.
import { told } from "../message.js";
import { open, testedOf } from "../opened.js";
import { element, table } from "./elements.js";

export function selftestScreen({ test, tested, tests }, app) {
  const say = (text, kind) => element("span", { class: kind, text });

  async function result(candidate) {
    if (candidate.refusal !== null) return say(candidate.refusal, "quiet");
    try {
      const { engine } = await open(candidate, 1);
      try {
        const { passed, text } = await testedOf(candidate, engine);
        return say(text, passed ? "good" : "bad");
      } finally {
        await engine.close();
      }
    } catch (error) {
      return say(told(error), "bad");
    }
  }

  test.addEventListener("click", () =>
    app.busy(async () => {
      await app.opened.close();
      const rows = [];
      for (const candidate of app.candidates) {
        tested.textContent = `Testing ${candidate.title}…`;
        rows.push([candidate.title, candidate.runtime?.title ?? "", await result(candidate)]);
        tests.replaceChildren(table("Self-tests", ["file", "runtime", "result"], rows));
      }
      const passed = rows.filter((row) => row[2].className === "good").length;
      const refused = rows.filter((row) => row[2].className === "quiet").length;
      tested.textContent = `${passed} passed, ${rows.length - passed - refused} failed, ${refused} cannot run here.`;
    }),
  );
  return {};
}
