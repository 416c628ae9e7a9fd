/** Binomial probabilities without rounding: an oracle in whole numbers. */

/** A double in [0, 1] as numerator / 2^bits. */
function fractionOf(value: number): { numerator: bigint; bits: bigint } {
  let bits = 0n;
  let scaled = value;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    bits += 1n;
  }
  return { numerator: BigInt(scaled), bits };
}

export function choose(n: number, k: number): bigint {
  let result = 1n;
  for (let i = 0; i < k; i += 1) result = (result * BigInt(n - i)) / BigInt(i + 1);
  return result;
}

/** P(from <= B <= to) for B binomial(n, rate), exact, then rounded once. */
export function binomialProbability(n: number, rate: number, from: number, to: number): number {
  const { numerator, bits } = fractionOf(rate);
  const complement = (1n << bits) - numerator;
  let sum = 0n;
  for (let k = from; k <= to; k += 1)
    sum += choose(n, k) * numerator ** BigInt(k) * complement ** BigInt(n - k);
  // 60 bits of the quotient are more than a double has.
  const total = bits * BigInt(n);
  return total <= 60n ? Number(sum) / 2 ** Number(total) : Number(sum >> (total - 60n)) / 2 ** 60;
}
