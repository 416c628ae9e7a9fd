/**
 * The HPKE `info` of every seal: what a sealed share or answer is bound to.
 *
 * The opener computes these bytes from the plan, the roster and its own identity, never from the sealed
 * blob. A share copied into another client's update, or an answer moved to another round, set or
 * custodian, is then opened under another `info` and fails. Encoding: `fields.ts`.
 */
import { encodeFields, requireBytes32, requireInteger } from './fields.js';
import { type RoundKey, roundFields } from './round-key.js';

/** What both kinds of seal are bound to. */
interface CustodyBinding extends RoundKey {
  /** Fingerprint of the round plan, 32 bytes. */
  readonly plan: Uint8Array;
  /** The custodian's id: 1 to 255 bytes of UTF-8. */
  readonly custodian: string;
  /** The custodian's evaluation point in the sharing, from 1. */
  readonly custodianIndex: number;
  /** Epoch of the custodian's KEM key. */
  readonly keyEpoch: number;
}

export interface ShareBinding extends CustodyBinding {
  /** The client's id: 1 to 255 bytes of UTF-8. */
  readonly client: string;
  /** Hash of the client's signing keys, 32 bytes. */
  readonly clientKeyId: Uint8Array;
}

export interface AnswerBinding extends CustodyBinding {
  /** Fingerprint of the accepted set, 32 bytes. */
  readonly set: Uint8Array;
  /** Hash of the owner's keys, 32 bytes. */
  readonly ownerKeyId: Uint8Array;
}

/**
 * The `info` under which a client seals one custodian's share of its secret.
 *
 * @throws ParameterError `field.bad-text`, `field.bad-integer`, `field.bad-bytes`
 */
export function shareInfo(binding: ShareBinding): Uint8Array {
  requireBytes32('plan', binding.plan);
  requireBytes32('client key id', binding.clientKeyId);
  requireInteger('custodian index', binding.custodianIndex, 1);
  return encodeFields('tensorguard-native v1 share', [
    ...roundFields(binding),
    ['plan', binding.plan],
    ['client', binding.client],
    ['client key id', binding.clientKeyId],
    ['custodian', binding.custodian],
    ['custodian index', binding.custodianIndex],
    ['key epoch', binding.keyEpoch],
  ]);
}

/**
 * The `info` under which a custodian seals its answer, the sum of its shares, to the owner.
 *
 * @throws ParameterError `field.bad-text`, `field.bad-integer`, `field.bad-bytes`
 */
export function answerInfo(binding: AnswerBinding): Uint8Array {
  requireBytes32('plan', binding.plan);
  requireBytes32('set', binding.set);
  requireBytes32('owner key id', binding.ownerKeyId);
  requireInteger('custodian index', binding.custodianIndex, 1);
  return encodeFields('tensorguard-native v1 answer', [
    ...roundFields(binding),
    ['plan', binding.plan],
    ['set', binding.set],
    ['custodian', binding.custodian],
    ['custodian index', binding.custodianIndex],
    ['key epoch', binding.keyEpoch],
    ['owner key id', binding.ownerKeyId],
  ]);
}
