// Results as the rest of the project has them (docs/schemas/results.json): falcon-edge report and compare read them.
import { summary } from "./statistics.js";

export const SCHEMA_VERSION = 6;
const NOISE_SHARE = 0.1;
const UNPINNED = {
  flag: "unpinned",
  reason: "its threads could move from CPU to CPU",
  remedy: "a page cannot choose CPUs: measure by adb or ssh where that matters",
};

/** This machine as results have it, as far as a browser tells. */
export function environmentOf(told) {
  return {
    machine: told.device,
    cpu: told.architecture || null,
    cores: Math.max(1, navigator.hardwareConcurrency || 1),
    kernel: `${told.system}, ${told.browser}`,
    python: "none",
    governor: null,
    frequencies_mhz: [],
    temperatures_c: {},
    load_1min: null,
  };
}

/** An entry of a file that was measured, or that failed: { candidate, engine, measured, selfTest, load_ns, failure }. */
export function entryOf({ candidate, engine, measured, tested, load_ns, failure }, device, options) {
  const { model, exported } = candidate;
  const { manifest } = model;
  const listed = model.files.get(exported.file);
  const entry = {
    model: {
      name: manifest.name,
      file: exported.file.split("/").pop(),
      sha256: listed.sha256,
      bytes: listed.bytes,
      target: exported.target,
      precision: exported.precision,
      role: manifest.role,
      identity: manifest.identity,
      parent: manifest.parentIdentity,
      parameters: manifest.parameters,
      macs: exported.macs,
    },
    device,
    emulated: false,
    failure: failure ? { kind: "runtime", message: failure } : null,
  };
  if (engine) entry.runtime = engine.about;
  if (load_ns) entry.load_ns = load_ns;
  if (tested) entry.agreement = tested.agreement;
  if (!measured) return entry;
  const { bursts, first_ns } = measured;
  const all = bursts.flatMap((burst) => burst.samples_ns);
  const paced = measured.paced && {
    ...measured.paced,
    summary: summary(measured.paced.bursts.flatMap((burst) => burst.samples_ns)),
    mhz: null,
  };
  return {
    ...entry,
    first_inference_ns: first_ns,
    bursts,
    summary: summary(all),
    paced,
    flags: flagsOf(all, measured, options),
  };
}

/** Reasons to doubt a latency, as runtime_bench/validity.py has them, and what a browser adds. */
function flagsOf(samples, measured, options) {
  const found = [];
  const { p50_ns, iqr_ns } = summary(samples);
  if (iqr_ns / p50_ns > NOISE_SHARE) {
    found.push({
      flag: "noisy",
      reason: `the middle half of the samples spreads over ${Math.round((100 * iqr_ns) / p50_ns)}% of the median`,
      remedy: "close other pages and programs, and measure again",
    });
  }
  const quarter = Math.floor(samples.length / 4);
  if (quarter) {
    const middle = (part) => summary(part).p50_ns;
    const drift = middle(samples.slice(-quarter)) / middle(samples.slice(0, quarter)) - 1;
    if (Math.abs(drift) > 0.05) {
      found.push({
        flag: "drift",
        reason: `the last quarter is ${drift > 0 ? "+" : ""}${Math.round(100 * drift)}% against the first`,
        remedy: "let the device cool down, and measure again",
      });
    }
  }
  if (measured.repeat > 1) {
    found.push({
      flag: "coarse-clock",
      reason: `a sample is the mean of ${measured.repeat} inferences: the page's clock has steps of ${options.clock_ms} ms`,
      remedy: "open the page by HTTPS or localhost, isolated (COOP and COEP)",
    });
  }
  if (measured.paced?.missed) {
    found.push({
      flag: "missed-ticks",
      reason: `paced: inferences lasted beyond ${measured.paced.missed} ticks of ${measured.paced.every_ms} ms`,
      remedy: "it is too slow for that pace, or the machine was busy: pace it slower",
    });
  }
  return [...found, UNPINNED];
}

/** The results of a run. */
export function resultsOf(entries, environment, options) {
  const created = new Date().toISOString().replace(/\.\d+Z$/, "+00:00");
  return { schema_version: SCHEMA_VERSION, created, options, before: environment, after: environment, entries };
}
