/** The series at /metrics, each with what it says: the dashboard, the alert rules and the manual name no other. */

/**
 * Buckets of stages, in seconds. An update of 740,000 values is encrypted in 1.5 ms and opened in 1.3 ms, one of ten times as
 * many in 38 and 17 ms (`tensorguard-native bench`, one with `--values 7400000`); a loaded server takes an upload in 0.4 s at the
 * median and 2.9 s at the 99th percentile, and sums 700 updates in 9 s (docs/soak.md); training takes minutes to hours. Each of
 * these has buckets on both of its sides, three to a decade where machines differ by that.
 */
export const STAGE_BUCKETS_SECONDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 28_800,
];

/**
 * Of requests, in seconds. `/healthz` is answered in less than 1 ms, a round's status in 37 ms at the median, an upload in 0.4 s,
 * an aggregate of 17 MB in 1.1 s at the median and 6.2 s at the 99th percentile (docs/soak.md).
 */
export const REQUEST_BUCKETS_SECONDS: readonly number[] = [
  0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 60,
];
