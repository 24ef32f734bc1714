// LiteRT in WebAssembly (the npm package @litertjs/core): XNNPACK on the CPU.
import { tolerancesOf } from "../manifest.js";
import { Message } from "../message.js";

const VENDOR = new URL("../../vendor/litertjs-core/", import.meta.url);
const REFUSED = "LiteRT.js takes no integers as input: export it with --io float";

export const litert = {
  name: "litert",
  title: "LiteRT",
  targets: ["tflite"],
  refusal: (manifest, { file }) =>
    tolerancesOf(manifest, file, "litert").some((each) => each.maxLsb !== null) ? REFUSED : null,
  open,
};

let loaded = null;

/** The library, once. */
function library() {
  loaded ??= load().catch((error) => {
    loaded = null;
    throw error;
  });
  return loaded;
}

async function load() {
  let found;
  try {
    found = await import(new URL("index.js", VENDOR));
  } catch {
    throw new Message("LiteRT is not in this page; run vendor.py beside it");
  }
  globalThis.Module = {
    // Where its program looks for them. In a worker it would take that one's script for its own.
    print: () => {},
    printErr: () => {},
    locateFile: (file) => new URL(`wasm/${file}`, VENDOR).href,
    mainScriptUrlOrBlob: new URL("wasm/litert_wasm_threaded_internal.js", VENDOR).href,
  };
  try {
    await found.loadLiteRt(new URL("wasm/", VENDOR).href, { threads: globalThis.crossOriginIsolated === true });
  } catch (error) {
    throw new Message(`LiteRT does not start in this browser (${String(error?.message ?? error).slice(0, 200)})`);
  }
  const { version } = await (await fetch(new URL("package.json", VENDOR))).json();
  return { ...found, version };
}

async function open(bytes, threads) {
  const { loadAndCompile, Tensor, version } = await library();
  let model;
  try {
    model = await loadAndCompile(bytes, { accelerator: "wasm", cpuOptions: { numThreads: threads } });
  } catch (error) {
    throw new Message(`LiteRT cannot load this file (${String(error?.message ?? error).slice(0, 200)})`);
  }
  const sources = model.getInputDetails();
  const shape = Array.from(sources[0].shape);
  if (sources.length !== 1 || sources[0].dtype !== "float32") {
    model.delete();
    throw new Message(sources.length === 1 ? REFUSED : `the file has ${sources.length} inputs`);
  }
  return {
    about: { name: "litert", package: "@litertjs/core", version, kernels: "wasm, XNNPACK", threads },
    input: { dtype: "float32", shape, layout: "NHWC" },
    outputs: model.getOutputDetails().map(({ name, dtype }) => ({ name, dtype })),
    async run(values) {
      const input = Tensor.fromTypedArray(values, shape);
      try {
        const found = await model.run(input);
        try {
          return await Promise.all(found.map((tensor) => tensor.data()));
        } finally {
          for (const tensor of found) tensor.delete();
        }
      } finally {
        input.delete();
      }
    },
    close: async () => model.delete(),
  };
}
