/** Signing keys from fixed seeds, and the smallest well-formed body of each kind. */
import { expect } from 'chai';
import { TensorGuardError } from '../../lib/errors.js';
import { setDigest } from '../../lib/package/fingerprint.js';
import type { PublicKeys } from '../../lib/package/keys.js';
import type { BodyOf, MessageKind } from '../../lib/package/messages/registry.js';
import { adapterFingerprint, RELEASE_WRAP_BYTES } from '../../lib/package/messages/release.js';
import { KEM_PUBLIC_KEY_BYTES } from '../../lib/package/messages/roster.js';
import type { VerdictMetric } from '../../lib/package/messages/verdict.js';
import { importSecret, type LocalSigningKey } from '../../lib/package/signing-key.js';
import {
  type ContainerInput,
  containerBytes,
  encodeContainer,
  type SectionInput,
} from '../../lib/package/writer.js';

export const CREATED = 1_764_000_000_000;

export function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

export const bytes32 = (value: number): Uint8Array => filled(32, value);

export const ed25519Key = importSecret({ ed25519: bytes32(1) });
export const otherKey = importSecret({ ed25519: bytes32(2) });
export const hybridKey = importSecret({ ed25519: bytes32(3), 'ml-dsa-65': bytes32(4) });

/** Public keys that nobody holds the private half of; enough for what only looks at their bytes. */
export function somePublicKeys(value: number): PublicKeys {
  return { ed25519: bytes32(value) };
}

const round = { fleet: 'acme', policy: 'pick-and-place', cohort: 'a', round: 7 };
const plannedRound = { ...round, plan: bytes32(9) };

const releasedFiles = {
  config: { sizeBytes: 3, digest: bytes32(11) },
  tensors: { sizeBytes: 5, digest: bytes32(12) },
};

export function smallBodies(): { [K in MessageKind]: BodyOf<K> } {
  return {
    roster: {
      fleet: 'acme',
      version: 1,
      owner: { keys: somePublicKeys(1), kem: filled(KEM_PUBLIC_KEY_BYTES, 1) },
      coordinator: { keys: somePublicKeys(2) },
      aggregators: [{ id: 'cloud', keys: somePublicKeys(3) }],
      clients: [
        { id: 'client-01', keys: somePublicKeys(4), status: 'active' },
        { id: 'client-02', keys: somePublicKeys(5), status: 'revoked' },
      ],
      custodians: [
        { id: 'c1', index: 1, keys: somePublicKeys(6), kem: filled(KEM_PUBLIC_KEY_BYTES, 6), epoch: 1 },
        { id: 'c2', index: 2, keys: somePublicKeys(7), kem: filled(KEM_PUBLIC_KEY_BYTES, 7), epoch: 3 },
      ],
      threshold: 2,
      quorumFloor: 3,
      maxUpdateBytes: 1 << 26,
      parameterSets: ['lwe-192'],
      noiseFloor: 0.5,
      signatureAlgorithms: ['ed25519'],
    },
    plan: {
      ...round,
      rosterVersion: 1,
      rosterFingerprint: bytes32(8),
      parameterSet: 'lwe-192',
      seed: bytes32(7),
      keyEpoch: 1,
      threshold: 2,
      custodians: 3,
      quorum: 3,
      lwe: {
        maxClients: 16,
        segments: [
          {
            ...{ bits: 4, valueCount: 5, fieldBits: 8, fold: 2 },
            ...{ plaintextBits: 16, wireBits: 21, ringElements: 1 },
          },
          {
            ...{ bits: 8, valueCount: 31, fieldBits: 12, fold: 1 },
            ...{ plaintextBits: 12, wireBits: 17, ringElements: 1 },
          },
        ],
      },
      loraMode: 'average',
      tensors: [
        {
          ...{ name: 'layers.0.q_proj.lora_A.weight', shape: [4, 8], dtype: 'F32' },
          ...{ bits: 8, kept: 30, scale: 0.011 },
        },
        {
          ...{ name: 'layers.0.q_proj.lora_B.weight', shape: [5], dtype: 'BF16' },
          ...{ bits: 4, kept: 5, scale: 0.014 },
        },
        { name: 'scale', shape: [], dtype: 'F16', bits: 8, kept: 1, scale: 0.011 },
      ],
      rotationBlockLog2: 12,
      clip: 1.5,
      adapterSchema: bytes32(6),
      ledgerHeads: [{ custodian: 'c1', head: bytes32(5) }],
    },
    update: {
      schema: '1.0.0',
      ...plannedRound,
      client: 'client-01',
      parameterSet: 'lwe-192',
      keyEpoch: 1,
      adapterSchema: bytes32(6),
    },
    'partial-sum': {
      ...plannedRound,
      gateway: 'site-a',
      accepted: [
        { client: 'client-02', update: bytes32(1) },
        { client: 'client-01', update: bytes32(2) },
      ],
      envelopeLengths: [20, 21],
      shareLengths: [3, 4],
    },
    aggregate: {
      ...plannedRound,
      aggregator: 'cloud',
      accepted: [
        { client: 'client-02', update: bytes32(1) },
        { client: 'client-01', update: bytes32(2) },
      ],
      envelopeLengths: [20, 21],
      shareLengths: [3, 4],
      refused: [{ source: 'U3.tgu', code: 'update.wrong-plan', message: 'it is for another plan' }],
    },
    answer: {
      ...plannedRound,
      set: bytes32(4),
      custodian: 'c1',
      index: 1,
      epoch: 1,
      contributors: 3,
      ledgerHead: bytes32(5),
    },
    release: {
      fleet: 'acme',
      policy: 'pick-and-place',
      counter: 3,
      rosterVersion: 1,
      adapterSchema: bytes32(6),
      adapterFingerprint: adapterFingerprint(releasedFiles),
      payload: { ...releasedFiles, noncePrefix: filled(7, 1) },
      recipients: [
        { client: 'client-01', kem: bytes32(4) },
        { client: 'client-02', kem: bytes32(5) },
      ],
    },
    close: { ...plannedRound, opened: [bytes32(1), bytes32(2)], set: setDigest([bytes32(2), bytes32(1)]) },
    enrolment: {
      fleet: 'acme',
      role: 'custodian',
      id: 'c3',
      keys: ed25519Key.publicKeys,
      kem: filled(KEM_PUBLIC_KEY_BYTES, 8),
      epoch: 2,
      ledgerHead: bytes32(5),
    },
    verdict: {
      fleet: 'acme',
      candidate: bytes32(1),
      baseline: bytes32(2),
      safety: bytes32(3),
      evaluator: 'command',
      confidence: 0.95,
      limitError: 0.0125,
      looks: { made: 1, planned: 4 },
      episodes: 100,
      firstSeed: 1000,
      attempt: 1,
      outcome: 'passed',
      metrics: smallMetrics(),
      reasons: ['all bounds are met but those that were waived: kl-divergence'],
    },
  };
}

function smallMetrics(): VerdictMetric[] {
  const metric = (name: VerdictMetric['name'], rest: Partial<VerdictMetric>): VerdictMetric => ({
    ...{ name, outcome: 'passed', episodes: 50, reason: name, ...rest },
  });
  return [
    metric('success-rate', { atLeast: 0.8, estimate: 0.96, lower: 0.84, upper: 0.995 }),
    metric('constraint-violations', { atMost: 10, estimate: 0, lower: 0, upper: 8.76 }),
    metric('kl-divergence', { atMost: 0.5, outcome: 'waived', episodes: 0 }),
    metric('ood-robustness', { atLeast: 0.6, estimate: 0.9, lower: 0.75, upper: 0.97 }),
    metric('regression', { atMost: 0.05, estimate: -0.01, lower: -0.06, upper: 0.04 }),
    metric('time-to-complete', { outcome: 'not-measured', episodes: 0 }),
    metric('collisions', { outcome: 'reported', estimate: 2, lower: 0.2, upper: 8 }),
  ];
}

const SMALL_SECTIONS: Readonly<Record<MessageKind, readonly SectionInput[]>> = {
  roster: [],
  plan: [],
  update: [
    { name: 'ciphertext', data: Uint8Array.of(1, 2, 3, 4, 5) },
    { name: 'shares', data: Uint8Array.of(6, 7) },
  ],
  'partial-sum': [
    { name: 'ciphertext', data: filled(9, 1) },
    { name: 'envelopes', data: filled(41, 2) },
    { name: 'shares', data: filled(7, 3) },
  ],
  aggregate: [
    { name: 'ciphertext', data: filled(9, 1) },
    { name: 'envelopes', data: filled(41, 2) },
    { name: 'shares', data: filled(7, 3) },
  ],
  answer: [{ name: 'sealed', data: filled(11, 4) }],
  close: [],
  enrolment: [],
  verdict: [],
  release: [
    { name: 'wraps', data: filled(2 * RELEASE_WRAP_BYTES, 5) },
    { name: 'payload', data: filled(8 + 16, 6) },
  ],
};

export function smallInput<K extends MessageKind>(
  kind: K,
  signer: LocalSigningKey = ed25519Key,
): ContainerInput<K> {
  return { kind, body: smallBodies()[kind], sections: SMALL_SECTIONS[kind], signer, created: CREATED };
}

export async function smallFile(
  kind: MessageKind,
  signer: LocalSigningKey = ed25519Key,
): Promise<Uint8Array> {
  return containerBytes(await encodeContainer(smallInput(kind, signer)));
}

/** Bytes in which no two mebibytes are alike. */
export function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 131 + (i >> 10)) & 0xff);
}

export function updateWith(
  ciphertext: Uint8Array,
  shares: Uint8Array = new Uint8Array(),
): ContainerInput<'update'> {
  return {
    ...smallInput('update'),
    sections: [
      { name: 'ciphertext', data: ciphertext },
      { name: 'shares', data: shares },
    ],
  };
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

/** The error that `action` fails with; it must be one of ours, with a code. */
export async function refusalOf(action: () => unknown): Promise<TensorGuardError> {
  try {
    await action();
  } catch (error) {
    expect(error, String(error)).to.be.instanceOf(TensorGuardError);
    const refusal = error as TensorGuardError;
    expect(refusal.code).to.match(/^[a-z]+(\.[a-z0-9-]+)+$/);
    expect(refusal.message).to.not.equal('');
    return refusal;
  }
  return expect.fail('it was accepted');
}

export async function codeOf(action: () => unknown): Promise<string> {
  return (await refusalOf(action)).code;
}
