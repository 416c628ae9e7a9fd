/** Normal distributions of actions: independent components, each with a mean and a standard deviation. */

/**
 * KL(N(means, deviations^2) || N(otherMeans, otherDeviations^2)), nats: the sum over components of
 * log(s' / s) + (s^2 + (m - m')^2) / (2 s'^2) - 1/2.
 */
export function gaussianKl(
  means: ArrayLike<number>,
  deviations: ArrayLike<number>,
  otherMeans: ArrayLike<number>,
  otherDeviations: ArrayLike<number>,
): number {
  let sum = 0;
  for (let i = 0; i < means.length; i += 1) {
    const s = deviations[i] as number;
    const t = otherDeviations[i] as number;
    const distance = (means[i] as number) - (otherMeans[i] as number);
    sum += Math.log(t / s) + (s * s + distance * distance) / (2 * t * t) - 0.5;
  }
  return sum;
}
