// The screen that measures files in turns, and gives the results to whoever asked for them.
import { measure, stop } from "../apart.js";
import { Cancelled } from "../benchmark.js";
import { awaited, save, send } from "../delivery.js";
import { told } from "../message.js";
import { emptyInput, open, testedOf } from "../opened.js";
import { clockStep } from "../platform.js";
import { entryOf, environmentOf, resultsOf } from "../results.js";
import { element, fill, table } from "./elements.js";

const inMilliseconds = (nanoseconds) => (nanoseconds / 1e6).toFixed(3);

export function benchmarkScreen(page, app) {
  const { protocol, files, start, cancel, progress, measuring, measured, delivery } = page;
  const usable = app.candidates.filter((candidate) => candidate.refusal === null);
  files.append(
    ...app.candidates.map(({ id, title, runtime, refusal }) => {
      const box = element("input", { type: "checkbox", value: id, disabled: refusal !== null, checked: refusal === null });
      const why = refusal === null ? runtime.title : refusal;
      return element("label", {}, box, element("span", {}, title, element("span", { class: "quiet", text: ` — ${why}` })));
    }),
  );
  fill(protocol.elements.threads, app.threads.map((count) => [count, count]));
  let results = null;
  let stopped = false;

  const number = (name) => Number(protocol.elements[name].value);

  async function run() {
    const chosen = usable.filter(({ id }) => files.querySelector(`input[value="${CSS.escape(id)}"]`).checked);
    const threads = number("threads");
    const options = {
      device: `browser:${app.told.browser}`,
      threads: [threads],
      runs: number("runs"),
      rounds: number("rounds"),
      processes: 1,
      every: number("every") / 1000,
      ticks: number("ticks"),
      cold: false,
      clock_ms: clockStep(),
    };
    const subjects = [];
    try {
      for (const candidate of chosen) {
        if (stopped) throw new Cancelled();
        measuring.textContent = `Loading ${candidate.title}…`;
        subjects.push(await subjectOf(candidate, threads));
      }
      const working = subjects.filter((subject) => subject.failure === null);
      const found = await measure(
        working,
        { ...options, every: 1000 * options.every, clockStep: options.clock_ms },
        (share, text) => {
          progress.value = share;
          measuring.textContent = `Measuring: ${text}`;
        },
      );
      working.forEach((subject, place) => {
        if (found[place].failure) subject.failure = found[place].failure;
        else subject.measured = found[place];
      });
    } finally {
      for (const { engine } of subjects) await engine?.close();
    }
    const entries = subjects.map((subject) => entryOf(subject, options.device, options));
    results = resultsOf(entries, environmentOf(app.told), options);
  }

  async function subjectOf(candidate, threads) {
    const subject = { candidate, engine: null, tested: null, failure: null };
    try {
      Object.assign(subject, await open(candidate, threads));
      subject.input = emptyInput(candidate, subject.engine);
      const tested = await testedOf(candidate, subject.engine);
      subject.tested = tested.agreement && tested;
    } catch (error) {
      subject.failure = told(error);
    }
    return subject;
  }

  function show() {
    const standards = results.entries.filter((entry) => entry.model.role === "standard" && entry.summary);
    const rows = results.entries.map((entry) => {
      const { model, summary, paced } = entry;
      const name = `${model.name} ${model.precision} ${model.target}`;
      if (!summary) return [name, entry.failure?.message ?? "not measured"];
      const standard = standards.find(
        (each) => each.model.target === model.target && each.model.precision === model.precision && each !== entry,
      );
      const agreed = entry.agreement ? entry.agreement.every((each) => each.within_tolerance) : null;
      return [
        name,
        ...[summary.p50_ns, summary.p90_ns, summary.p99_ns].map(inMilliseconds),
        paced ? inMilliseconds(paced.summary.p50_ns) : "",
        standard ? `${(standard.summary.p50_ns / summary.p50_ns).toFixed(2)}x` : "",
        agreed === null ? "" : element("span", { class: agreed ? "good" : "bad", text: agreed ? "passed" : "differs" }),
        entry.flags
          .filter((flag) => flag.flag !== "unpinned")
          .map((flag) => flag.flag)
          .join(", "),
      ];
    });
    const headings = ["file", "#p50", "#p90", "#p99", "#paced", "#speedup", "self-test", "doubts"];
    const says = "Milliseconds of an inference, back to back; paced: the median of one every so often.";
    measured.replaceChildren(element("p", { class: "quiet", text: says }), table("Results", headings, rows));
  }

  protocol.addEventListener("submit", (event) => {
    event.preventDefault();
    app.busy(async () => {
      stopped = false;
      start.disabled = true;
      cancel.hidden = progress.hidden = false;
      try {
        await app.opened.close();
        await run();
        show();
        delivery.hidden = false;
        measuring.textContent = "Measured.";
        if (awaited()) measuring.textContent = `Measured. ${await send(results)}`;
      } catch (error) {
        measuring.textContent = "";
        if (!(error instanceof Cancelled)) throw error;
        measuring.textContent = "Stopped: nothing of it is kept.";
      } finally {
        start.disabled = false;
        cancel.hidden = progress.hidden = true;
      }
    });
  });
  const end = () => {
    stopped = true;
    if (start.disabled) stop();
  };

  cancel.addEventListener("click", end);
  page.save.addEventListener("click", () => (measuring.textContent = `Saved: ${save(results)}`));
  page.send.hidden = !awaited();
  page.send.addEventListener("click", () =>
    app.busy(async () => {
      measuring.textContent = await send(results);
    }),
  );
  return { leave: end };
}
