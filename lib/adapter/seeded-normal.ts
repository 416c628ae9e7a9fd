/** Reproducible normal deviates, for synthetic data only. */
import { createCipheriv, createHash } from 'node:crypto';

/** Uniform 16-bit words added up for one deviate. */
const WORDS_A_DEVIATE = 12;

const DEVIATES_A_BLOCK = 4096;

const LABEL = 'tensorguard-native v1 synthetic values';

/**
 * Fills `out` with deviates of mean 0 and the given standard deviation: the same on every machine for
 * the same `seed` and `stream`, and independent between streams.
 *
 * A deviate is the sum of twelve uniform 16-bit words of a ChaCha20 keystream, centred (Irwin-Hall: close
 * to normal, never beyond six standard deviations). The usual transforms to a normal go through a
 * logarithm, whose last bit differs between platforms; sums of integers do not.
 *
 * @param stream names what is drawn, a tensor for example
 */
export function fillNormal(out: Float32Array, standardDeviation: number, seed: string, stream: string): void {
  const hash = createHash('sha256');
  for (const part of [LABEL, seed, stream]) {
    hash.update(`${Buffer.byteLength(part, 'utf8')}:`).update(part, 'utf8');
  }
  const cipher = createCipheriv('chacha20', hash.digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(DEVIATES_A_BLOCK * WORDS_A_DEVIATE * 2);
  // A word w stands for the middle of its cell, (w + 1/2) / 2^16; twelve have mean 6 and variance 1.
  const mean = WORDS_A_DEVIATE * 32767.5;
  for (let start = 0; start < out.length; start += DEVIATES_A_BLOCK) {
    const count = Math.min(DEVIATES_A_BLOCK, out.length - start);
    const keystream = cipher.update(zeros.subarray(0, count * WORDS_A_DEVIATE * 2));
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (let word = 0; word < WORDS_A_DEVIATE; word++) {
        const at = (i * WORDS_A_DEVIATE + word) * 2;
        sum += (keystream[at] as number) | ((keystream[at + 1] as number) << 8);
      }
      out[start + i] = ((sum - mean) / 65536) * standardDeviation;
    }
  }
}
