/** Everything that a round's time goes to, in the order in which it comes. Without imports, so that the page takes it as it is. */
export const LATENCY_STAGES = [
  'train',
  'compress',
  'encrypt',
  'upload',
  'aggregate',
  'decrypt',
  'apply',
] as const;

export type LatencyStage = (typeof LATENCY_STAGES)[number];
