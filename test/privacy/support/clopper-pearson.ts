/** Exact confidence bounds of a binomial proportion (Clopper, Pearson 1934), by bisection on the tail. */

function logGammas(n: number): Float64Array {
  const table = new Float64Array(n + 1);
  for (let i = 1; i <= n; i += 1) table[i] = (table[i - 1] ?? 0) + Math.log(i);
  return table;
}

/** P(B >= k) for B binomial(n, p). */
function upperTail(k: number, n: number, p: number, factorials: Float64Array): number {
  let sum = 0;
  for (let i = k; i <= n; i += 1) {
    const log =
      (factorials[n] ?? 0) -
      (factorials[i] ?? 0) -
      (factorials[n - i] ?? 0) +
      i * Math.log(p) +
      (n - i) * Math.log1p(-p);
    const term = Math.exp(log);
    sum += term;
    // Beyond the mode terms only shrink.
    if (i > n * p && term < sum * 1e-16) break;
  }
  return sum;
}

/** A p that the true proportion is not below, but for a probability of at most `error`. */
export function lowerBound(k: number, n: number, error: number): number {
  if (k === 0) return 0;
  const factorials = logGammas(n);
  let [low, high] = [0, k / n];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (upperTail(k, n, middle, factorials) < error) low = middle;
    else high = middle;
  }
  return low;
}

/** A p that the true proportion is not above, but for a probability of at most `error`. */
export function upperBound(k: number, n: number, error: number): number {
  return 1 - lowerBound(n - k, n, error);
}
