/** Test files, divided into parts that run side by side and take about equally long. */

/**
 * CPU seconds by folder, as measured once; only the balance depends on them. What is not listed counts a second a file.
 * A folder stays whole: its files share what takes long to make.
 */
const SECONDS = {
  cli: 56,
  integration: 58,
  dashboard: 55,
  round: 37,
  custody: 21,
  native: 17,
  pipeline: 16,
  privacy: 11,
  bench: 8,
  examples: 7,
  package: 6,
  adapter: 3,
  vectors: 3,
  scripts: 2,
  lwe: 2,
  policy: 1,
  durable: 1,
  support: 1,
};

/**
 * @param {readonly string[]} files paths such as dist/test/lwe/plan.test.js
 * @param {number} count parts at most
 * @returns {string[][]} none of them empty; the longest first, each in the order of `files`
 */
export function divide(files, count, seconds = SECONDS) {
  const folders = new Map();
  for (const file of files) {
    const folder = file.split('/')[2];
    folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  const weighed = [...folders].map(([folder, own]) => ({ own, seconds: seconds[folder] ?? own.length }));
  weighed.sort((a, b) => b.seconds - a.seconds);
  const parts = Array.from({ length: Math.min(count, weighed.length) }, () => ({ seconds: 0, files: [] }));
  for (const { own, seconds: weight } of weighed) {
    const lightest = parts.reduce((a, b) => (b.seconds < a.seconds ? b : a));
    lightest.seconds += weight;
    lightest.files.push(...own);
  }
  const order = new Map(files.map((file, i) => [file, i]));
  return parts
    .sort((a, b) => b.seconds - a.seconds)
    .map((part) => part.files.sort((a, b) => order.get(a) - order.get(b)));
}
