// Latencies of several engines in turns: back to back, and paced (one inference at each tick, the page idle between).
import { told } from "./message.js";
import { median } from "./statistics.js";

const WARM_UP_RUNS = 5; // at least, and so many milliseconds: browsers compile what runs often once more
const WARM_UP_MS = 500;
const STEPS_OF_CLOCK = 50; // that a sample lasts at least, so that the clock adds at most a fiftieth

export class Cancelled extends Error {}

const idle = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Measure engines: [{ engine, input }] -> for each { bursts, paced, repeat, first_ns }, or { failure } in words.
 *
 * options: { runs, rounds, every (milliseconds, 0: not paced), ticks, clockStep }. A sample is the mean of `repeat`
 * inferences where the clock is too coarse for one. progress(share, text); cancelled() -> whether to end.
 */
export async function measure(subjects, options, progress, cancelled) {
  const { runs, rounds, every, ticks } = options;
  const found = [];
  const total = subjects.length * (1 + rounds) + (every ? ticks : 0);
  let done = 0;
  const tell = (text) => {
    progress(done++ / total, text);
    if (cancelled()) throw new Cancelled();
  };
  const advance = async (text) => {
    tell(text);
    await idle(0); // the page shows it
  };
  for (const { engine, input } of subjects) {
    await advance("warming up");
    found.push(
      await orFailure(async () => {
        const first_ns = await timed(engine, input, 1);
        const one = await warmUp(engine, input);
        const step = options.clockStep * 1e6;
        const repeat = Math.max(1, Math.ceil((STEPS_OF_CLOCK * step) / Math.max(one, step)));
        return { first_ns, repeat, bursts: [], paced: null };
      }),
    );
  }
  for (let round = 0; round < rounds; round++) {
    for (const place of shuffled(subjects.length)) {
      await advance(`round ${round + 1} of ${rounds}`);
      if (found[place].failure) continue;
      const { engine, input } = subjects[place];
      const { failure } = await orFailure(async () => {
        const samples_ns = [];
        for (let run = 0; run < runs; run++) samples_ns.push(await timed(engine, input, found[place].repeat));
        found[place].bursts.push({ process: 0, round, samples_ns });
        return {};
      });
      if (failure) found[place] = { failure };
    }
  }
  const working = found.flatMap((each, place) => (each.failure ? [] : [place]));
  if (every && working.length) {
    const chosen = working.map((place) => subjects[place]);
    const paced = await pacedSamples(chosen, every, ticks, (tick) => tell(`tick ${tick + 1} of ${ticks}`));
    paced.forEach((each, number) => (found[working[number]].paced = each));
  }
  return found;
}

/** What comes of an action; where it fails, why: the others are measured all the same. */
async function orFailure(action) {
  try {
    return await action();
  } catch (error) {
    return { failure: told(error) };
  }
}

/** Run an engine until it is warm; the nanoseconds of one of the last inferences. */
export async function warmUp(engine, input) {
  const end = performance.now() + WARM_UP_MS;
  const samples = [];
  while (samples.length < WARM_UP_RUNS || performance.now() < end) samples.push(await timed(engine, input, 1));
  return median(samples.slice(-WARM_UP_RUNS));
}

/** The mean of so many inferences, in whole nanoseconds; at least 1, for a clock that stood still. */
async function timed(engine, input, repeat) {
  const start = performance.now();
  for (let run = 0; run < repeat; run++) await engine.run(input);
  return Math.max(1, Math.round(((performance.now() - start) * 1e6) / repeat));
}

/** One inference at each tick, the engines by turns; a tick that comes while one is not done is missed. */
async function pacedSamples(subjects, every, ticks, tell) {
  const period_ms = every * subjects.length;
  const paced = subjects.map(() => ({ samples: [], missed: 0 }));
  const start = performance.now() + every;
  for (let tick = 0; paced.some((each) => each.samples.length < ticks); tick++) {
    const place = tick % subjects.length;
    if (place === 0) tell(paced[0].samples.length);
    const due = start + tick * every;
    if (performance.now() > due) {
      paced[place].missed++;
      if (paced[place].missed > 10 * ticks) break; // it is far too slow for that pace
      continue;
    }
    await idle(Math.max(0, due - performance.now()));
    paced[place].samples.push(await timed(subjects[place].engine, subjects[place].input, 1));
  }
  return paced.map(({ samples, missed }) =>
    samples.length ? { bursts: [{ process: 0, round: 0, samples_ns: samples }], every_ms: every, period_ms, missed } : null,
  );
}

function shuffled(count) {
  const places = Array.from({ length: count }, (_, place) => place);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [places[last], places[other]] = [places[other], places[last]];
  }
  return places;
}
