// The runtimes that this page brings, and which files of models each takes.
//
// A runtime: { name, title, targets, refusal(manifest, exported) -> why a file cannot be used here, or null,
//              open(bytes, threads) -> an engine, in the worker }
// An engine: { about: { name, package, version, kernels, threads }, input: { dtype, shape, layout },
//              outputs: [{ name, dtype }], run(values) -> [values of each output], close() }
import { litert } from "./litert.js";
import { onnxruntime } from "./onnxruntime.js";

export const RUNTIMES = [onnxruntime, litert];

/** Every embedded file of the models with what runs it: { id, model, exported, runtime, title, refusal }. */
export function candidatesOf(models) {
  const found = [];
  for (const model of models.filter((each) => each.problem === null)) {
    for (const exported of model.manifest.exports.filter((each) => model.files.has(each.file))) {
      const runtime = RUNTIMES.find((each) => each.targets.includes(exported.target));
      const refusal = runtime ? runtime.refusal(model.manifest, exported) : `nothing here runs .${exported.target}`;
      const name = exported.file.split("/").pop();
      const title = `${model.folder}: ${name.replace(/^model\./, "").split(".").join(" ")}`;
      found.push({ id: `${model.folder}/${exported.file}`, model, exported, runtime, title, refusal });
    }
  }
  return found;
}
