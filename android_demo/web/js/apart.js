// Engines that run apart from the page, in a worker of its own (worker.js); in the page, where a browser has no workers
// that can do it.
import { Cancelled } from "./benchmark.js";
import { Message } from "./message.js";

const asked = new Map(); // by number: who waits for an answer
let count = 0;
let started = null;

/** An engine for the bytes of a file: { about, input, outputs, load_ns, infer, warmUp, close, number }. */
export async function open(runtime, bytes, threads) {
  const { number, ...engine } = await ask("open", { runtime, bytes, threads });
  return {
    ...engine,
    number,
    /** { found: the values of each output, took: milliseconds }. */
    infer: (values) => ask("infer", { number, values }),
    warmUp: (values) => ask("warmUp", { number, values }),
    close: () => ask("close", { number }),
  };
}

/** What `measure` of benchmark.js finds of engines: [{ engine, input }]. Throws Cancelled after `stop`. */
export const measure = (subjects, options, progress) =>
  ask("measure", { subjects: subjects.map(({ engine, input }) => ({ number: engine.number, input })), options }, progress);

/** End a measurement, soon. */
export const stop = () => ask("stop", {});

async function ask(task, given, progress = () => {}) {
  started ??= start();
  const worker = await started;
  if (worker === null) {
    const { TASKS } = await import("./work.js");
    return TASKS[task](given, progress);
  }
  const id = ++count;
  return new Promise((resolve, reject) => {
    asked.set(id, { resolve, reject, progress });
    worker.postMessage({ id, task, given });
  });
}

/** The worker, once it can be asked; null where there is none. */
function start() {
  return new Promise((resolve) => {
    let worker;
    try {
      worker = new Worker(new URL("worker.js", import.meta.url));
    } catch {
      resolve(null);
      return;
    }
    worker.onmessage = ({ data }) => {
      if ("ready" in data) resolve(data.ready ? worker : null);
      else answered(data);
    };
    worker.onerror = (event) => {
      resolve(null);
      event.preventDefault();
      for (const { reject } of asked.values()) reject(new Error(event.message || "the worker ended"));
      asked.clear();
    };
  });
}

function answered({ id, share, text, found, kind, error }) {
  const { resolve, reject, progress } = asked.get(id);
  if (share !== undefined) {
    progress(share, text);
    return;
  }
  asked.delete(id);
  if (kind === undefined) resolve(found);
  else reject(kind === "message" ? new Message(error) : kind === "cancelled" ? new Cancelled() : new Error(error));
}
