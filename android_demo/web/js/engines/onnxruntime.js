// ONNX Runtime in WebAssembly (the npm package onnxruntime-web).
import { Message } from "../message.js";

const VENDOR = new URL("../../vendor/onnxruntime-web/", import.meta.url);
const KNOWN = ["float32", "int8", "uint8"];

export const onnxruntime = {
  name: "onnxruntime",
  title: "ONNX Runtime",
  targets: ["onnx", "ort"],
  refusal: () => null,
  open,
};

const libraries = new Map();

/** The library with so many threads, which it takes once only: each number has a copy of its own. */
function library(threads) {
  if (!libraries.has(threads)) libraries.set(threads, load(threads));
  return libraries.get(threads);
}

async function load(threads) {
  let found;
  try {
    found = await import(new URL(`ort.wasm.min.mjs?threads=${threads}`, VENDOR));
  } catch {
    libraries.delete(threads);
    throw new Message("ONNX Runtime is not in this page; run vendor.py beside it");
  }
  found.env.wasm.wasmPaths = VENDOR.href;
  found.env.wasm.numThreads = threads;
  found.env.logLevel = "error";
  return found;
}

async function open(bytes, threads) {
  const ort = await library(threads);
  let session;
  try {
    session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  } catch (error) {
    throw new Message(`ONNX Runtime cannot load this file (${String(error?.message ?? error).slice(0, 200)})`);
  }
  const [source] = session.inputMetadata;
  const shape = source.shape.map((size, place) => (place === 0 && typeof size !== "number" ? 1 : size));
  if (session.inputMetadata.length !== 1 || !KNOWN.includes(source.type) || !shape.every(Number.isInteger)) {
    await session.release();
    throw new Message(`its input (${source.type}, ${source.shape.join(" x ")}) is not one that this page can make`);
  }
  return {
    about: { name: "onnxruntime", package: "onnxruntime-web", version: ort.env.versions?.web ?? "unknown", kernels: "wasm", threads },
    input: { dtype: source.type, shape, layout: "NCHW" },
    outputs: session.outputMetadata.map(({ name, type }) => ({ name, dtype: type })),
    async run(values) {
      const found = await session.run({ [source.name]: new ort.Tensor(source.type, values, shape) });
      return session.outputNames.map((name) => found[name].data);
    },
    close: () => session.release(),
  };
}
