// What is done with engines, which are known here by numbers: all of it in worker.js, where a browser has workers.
import { measure, warmUp } from "./benchmark.js";
import { RUNTIMES } from "./engines/engines.js";

const engines = new Map();
let opened = 0;
let stopped = false;

const since = (start) => performance.now() - start;

/** Tasks: what is given, and who is told of progress (share, text) -> what comes of it. */
export const TASKS = {
  async open({ runtime, bytes, threads }) {
    const start = performance.now();
    const engine = await RUNTIMES.find(({ name }) => name === runtime).open(bytes, threads);
    const load_ns = Math.max(1, Math.round(since(start) * 1e6));
    engines.set(++opened, engine);
    const { about, input, outputs } = engine;
    return { number: opened, about, input, outputs, load_ns };
  },

  async infer({ number, values }) {
    const start = performance.now();
    const found = await engines.get(number).run(values);
    const took = since(start);
    return { found: found.map((each) => each.slice()), took }; // what lies in a runtime's own memory may not leave it
  },

  async warmUp({ number, values }) {
    await warmUp(engines.get(number), values);
  },

  async measure({ subjects, options }, tell) {
    stopped = false;
    const working = subjects.map(({ number, input }) => ({ engine: engines.get(number), input }));
    return measure(working, options, tell, () => stopped);
  },

  async stop() {
    stopped = true;
  },

  async close({ number }) {
    const engine = engines.get(number);
    engines.delete(number);
    await engine?.close();
  },
};
