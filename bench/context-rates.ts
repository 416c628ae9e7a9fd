/** What the other work on an update's bytes runs at: hashing and copying. */
import { createHash, randomFillSync } from 'node:crypto';
import { gigabytesPerSecond, interleave, measureElapsed, type RoundOptions, type Spread } from './measure.js';

export interface ContextRates {
  readonly bufferBytes: number;
  readonly sha256GigabytesPerSecond: Spread;
  /** One buffer of that size copied over another. */
  readonly copyGigabytesPerSecond: Spread;
}

export async function measureContextRates(bufferBytes: number, options: RoundOptions): Promise<ContextRates> {
  const source = randomFillSync(new Uint8Array(bufferBytes));
  const target = new Uint8Array(bufferBytes);
  const timings = await interleave(
    [
      { name: 'sha256', time: () => measureElapsed(() => createHash('sha256').update(source).digest()) },
      { name: 'copy', time: () => measureElapsed(() => target.set(source)) },
    ],
    options,
  );
  return {
    bufferBytes,
    sha256GigabytesPerSecond: gigabytesPerSecond(bufferBytes, timings('sha256')),
    copyGigabytesPerSecond: gigabytesPerSecond(bufferBytes, timings('copy')),
  };
}
