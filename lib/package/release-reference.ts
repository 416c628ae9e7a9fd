/** A release, as a rollout names it: by its counter and the adapter that it carries. */
import { z } from 'zod';
import { integerSchema } from './messages/common.js';

/** The largest counter of a release (docs/protocol.md, section 15). */
const MAX_COUNTER = 2 ** 32 - 1;

/** 32 bytes in lower-case hexadecimal: state is JSON, which has no bytes. */
export const fingerprintSchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be a fingerprint: 64 lower-case hexadecimal digits');

export const releaseReferenceSchema = z.strictObject({
  counter: integerSchema(1, MAX_COUNTER),
  adapterFingerprint: fingerprintSchema,
});

export type ReleaseReference = Readonly<z.infer<typeof releaseReferenceSchema>>;

export function isSameRelease(left: ReleaseReference, right: ReleaseReference | undefined): boolean {
  return left.counter === right?.counter && left.adapterFingerprint === right.adapterFingerprint;
}

/** For messages: counter, and enough of the fingerprint to tell adapters apart. */
export function releaseName({ counter, adapterFingerprint }: ReleaseReference): string {
  return `release ${counter} (adapter ${adapterFingerprint.slice(0, 16)}...)`;
}
