// Engines that are open: a file is loaded when it is first used, and tested by its golden vectors then.
import { open as openApart } from "./apart.js";
import { inputFor } from "./inference.js";
import { told } from "./message.js";
import { selfTest } from "./selftest.js";

const MOST = 2; // at once: models take memory

export class Opened {
  #engines = new Map();
  #tested = new Map(); // by hash and runtime: once in a page's life

  /** The engine of a candidate with so many threads, and its self-test: { engine, load_ns, tested }. */
  async get(candidate, threads) {
    const key = `${candidate.id} ${threads}`;
    let found = this.#engines.get(key);
    this.#engines.delete(key);
    if (found === undefined) {
      while (this.#engines.size >= MOST) await this.#close(this.#engines.keys().next().value);
      found = await open(candidate, threads);
      await found.engine.warmUp(emptyInput(candidate, found.engine));
    }
    this.#engines.set(key, found);
    const tested = await this.#test(candidate, found.engine, threads);
    return { ...found, tested };
  }

  /** Close all of them. */
  async close() {
    for (const key of [...this.#engines.keys()]) await this.#close(key);
  }

  async #close(key) {
    const { engine } = this.#engines.get(key);
    this.#engines.delete(key);
    await engine.close();
  }

  async #test(candidate, engine, threads) {
    const key = `${candidate.id} ${candidate.runtime.name} ${threads}`;
    if (!this.#tested.has(key)) this.#tested.set(key, await testedOf(candidate, engine));
    return this.#tested.get(key);
  }
}

/** A candidate's engine and how long it took to load: { engine, load_ns }. */
export async function open(candidate, threads) {
  const bytes = await candidate.model.bytes(candidate.exported.file);
  const engine = await openApart(candidate.runtime.name, bytes, threads);
  return { engine, load_ns: engine.load_ns };
}

/** An input of zeros. */
export function emptyInput({ model: { manifest } }, engine) {
  return inputFor(new Float32Array(manifest.input.shape.reduce((one, other) => one * other)), manifest, engine);
}

/** The self-test of an engine in words: { passed, text, agreement }. */
export async function testedOf({ model, exported, runtime }, engine) {
  try {
    const { passed, vectors, worst, agreement } = await selfTest(model, exported, engine, runtime.name);
    const text = passed ? `passed (${vectors} inputs; ${worst})` : `differs from the export (${worst})`;
    return { passed, text, agreement };
  } catch (error) {
    return { passed: false, text: told(error), agreement: null };
  }
}
