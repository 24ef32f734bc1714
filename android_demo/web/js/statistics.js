// Order statistics as NumPy computes them (linear interpolation).

/** The percentile of numbers in ascending order, by NumPy's two branches. */
export function percentile(sorted, percent) {
  const place = (percent / 100) * (sorted.length - 1);
  const before = Math.floor(place);
  const share = place - before;
  const low = sorted[before];
  const high = sorted[Math.min(before + 1, sorted.length - 1)];
  return share < 0.5 ? low + (high - low) * share : high - (high - low) * (1 - share);
}

/** The summary that results have of samples in nanoseconds (at least one). */
export function summary(samples) {
  const sorted = Float64Array.from(samples).sort();
  const at = (percent) => percentile(sorted, percent);
  return {
    count: sorted.length,
    min_ns: sorted[0],
    p50_ns: at(50),
    p90_ns: at(90),
    p95_ns: at(95),
    p99_ns: at(99),
    iqr_ns: at(75) - at(25),
  };
}

/** The median of numbers (at least one). */
export const median = (numbers) => percentile(Float64Array.from(numbers).sort(), 50);
