/** The owner's release: an adapter, encrypted once, its key sealed to every recipient. */
import { createReadStream } from 'node:fs';
import { loadPeftAdapter } from '../../adapter/peft.js';
import { hex, sameBytes } from '../../custody/fields.js';
import { CONTENT_KEY_BYTES, type PayloadCipher, sealPayload } from '../../custody/release/payload-cipher.js';
import {
  type Rollback,
  requireNotWithdrawn,
  withdrawnAdapters,
} from '../../custody/release/release-rules.js';
import { kemDigest, sealWraps } from '../../custody/release/wraps.js';
import { requireOwnKey, type TrustedRoster } from '../../custody/roster.js';
import { SecretBytes } from '../../custody/secret-bytes.js';
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { RefusedError } from '../../errors.js';
import { writeFileAtomically } from '../../files.js';
import {
  adapterFingerprint,
  encryptedBytes,
  MAX_WITHDRAWN,
  plaintextBytes,
  RELEASE_NONCE_PREFIX_BYTES,
  type ReleaseBody,
  type ReleaseRecipient,
} from '../../package/messages/release.js';
import type { SigningKey } from '../../package/signing-key.js';
import { encodeContainer } from '../../package/writer.js';
import { requirePlannedAdapter } from '../adapter-delta.js';
import { adapterPieces, measureAdapter, requireLoadable } from './adapter-files.js';
import type { ReleaseRecords } from './release-records.js';

export interface Recipient {
  readonly client: string;
  /** The client's public KEM key, 1216 bytes, as it enrolled it. */
  readonly kem: Uint8Array;
}

export interface CreateReleaseOptions {
  readonly signing: SigningKey;
  readonly records: ReleaseRecords;
  readonly roster: TrustedRoster;
  readonly policy: string;
  /** Directory of the adapter that is released. */
  readonly adapter: string;
  readonly recipients: readonly Recipient[];
  /** The PEFT types that may be released; LoRA alone unless told. */
  readonly peftTypes?: readonly string[] | undefined;
  /** The round that the adapter came from, of the same policy. */
  readonly plan?: TrustedPlan | undefined;
  /** Goes back to the adapter of this earlier release, and withdraws those of the releases since. */
  readonly rollbackTo?: number | undefined;
  /** A line for people. */
  readonly note?: string | undefined;
  /** By the owner's clock, milliseconds since 1970; now, if absent. */
  readonly createdMs?: number;
  /** The file to write; the owner's records keep another. */
  readonly out: string;
}

export interface CreatedRelease {
  readonly body: ReleaseBody;
  /** Fingerprint of the release, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** Where the owner's records keep the file. */
  readonly kept: string;
  readonly sizeBytes: number;
}

/**
 * Makes, signs and keeps the next release of a policy, and writes it to `out`. Memory does not grow with the adapter: its
 * files are read three times, a mebibyte at a time, to be measured, hashed as they are encrypted, and written.
 *
 * The adapter, the recipients and the history are checked before a counter is claimed. The release is kept before `out` is
 * written: where that fails, the file in the records is the one to publish.
 *
 * @throws RefusedError `release.recipient-not-active`, `release.duplicate-recipient`, `release.no-recipients`,
 *   `release.other-policy`, `release.rolled-back`, `release.unknown-counter`, `release.rollback-other-adapter`,
 *   `release.nothing-to-roll-back`, `release.adapter-changed`, `roster.not-this-key`, `adapter.*`
 * @throws ParameterError `hpke.bad-public-key`; FormatError, EnvironmentError as `loadPeftAdapter`
 */
export async function createRelease(options: CreateReleaseOptions): Promise<CreatedRelease> {
  const { roster, policy, adapter, records, signing } = options;
  requireOwnKey(roster.body.owner.keys, signing.publicKeys, 'the owner');
  const recipients = checkedRecipients(options.recipients, roster);
  // First, so that what is then checked is what was measured.
  const files = await measureAdapter(adapter);
  const { schema } = await requireLoadable(adapter, { peftTypes: options.peftTypes, readValues: true });
  if (options.plan !== undefined) await requirePlanOf(options.plan, options);
  const fingerprint = adapterFingerprint(files);
  const earlier = await records.released(roster, policy);
  const rollback = rollbackOf(earlier, options.rollbackTo, fingerprint);

  const createdMs = options.createdMs ?? Date.now();
  const counter = await records.claim({ policy, adapterFingerprint: fingerprint, claimedMs: createdMs });
  const contentKey = SecretBytes.random(CONTENT_KEY_BYTES);
  try {
    const noncePrefix = crypto.getRandomValues(new Uint8Array(RELEASE_NONCE_PREFIX_BYTES));
    const body: ReleaseBody = {
      fleet: roster.body.fleet,
      policy,
      counter,
      rosterVersion: roster.body.version,
      ...(options.plan !== undefined && roundOf(options.plan)),
      adapterSchema: schema,
      adapterFingerprint: fingerprint,
      payload: { ...files, noncePrefix },
      recipients: recipients.map(({ client, kem }): ReleaseRecipient => ({ client, kem: kemDigest(kem) })),
      ...(rollback !== undefined && { rollback }),
      ...(options.note !== undefined && { note: options.note }),
    };
    const kemKeys = new Map(recipients.map(({ client, kem }) => [client, kem]));
    const cipher: PayloadCipher = {
      key: contentKey,
      noncePrefix,
      release: body,
      plaintextBytes: plaintextBytes(files),
    };
    const container = await encodeContainer({
      kind: 'release',
      body,
      sections: [
        { name: 'wraps', data: await sealWraps(body, roster.ownerKeyId, kemKeys, contentKey) },
        {
          name: 'payload',
          data: {
            length: encryptedBytes(cipher.plaintextBytes),
            // The same bytes each time: one key, one prefix, and files that are held against their digests.
            read: () => sealPayload(cipher, adapterPieces(adapter, files)),
          },
        },
      ],
      signer: signing,
      created: createdMs,
    });
    const kept = await records.keep(container);
    await copyRelease(kept, options.out);
    return { body, fingerprint: container.envelope.fingerprint, kept, sizeBytes: container.sizeBytes };
  } finally {
    contentKey.wipe();
  }
}

/** Copies a release out of the records, whole or not at all. */
export async function copyRelease(kept: string, out: string): Promise<void> {
  await writeFileAtomically(out, async (file) => {
    for await (const piece of createReadStream(kept)) await file.writeFile(piece as Uint8Array);
  });
}

function checkedRecipients(recipients: readonly Recipient[], roster: TrustedRoster): Recipient[] {
  const active = new Map(roster.body.clients.map(({ id, status }) => [id, status]));
  const sorted = [...recipients].sort((a, b) => (a.client < b.client ? -1 : 1));
  for (const [i, { client }] of sorted.entries()) {
    const status = active.get(client) ?? 'unknown';
    if (status !== 'active') {
      throw new RefusedError(
        'release.recipient-not-active',
        `Client "${client}" is ${status} in roster version ${roster.body.version}: it gets no release. Leave it out.`,
      );
    }
    if (sorted[i - 1]?.client === client) {
      throw new RefusedError('release.duplicate-recipient', `Client "${client}" is listed twice.`);
    }
  }
  if (sorted.length === 0) {
    throw new RefusedError(
      'release.no-recipients',
      'There is no client to release to. Enrol one, or lift a suspension.',
    );
  }
  return sorted;
}

async function requirePlanOf(plan: TrustedPlan, options: CreateReleaseOptions): Promise<void> {
  const { policy, adapter, peftTypes } = options;
  if (plan.body.policy !== policy) {
    throw new RefusedError(
      'release.other-policy',
      `The plan is of policy "${plan.body.policy}", and the release of "${policy}". Name the plan's policy.`,
    );
  }
  const opened = await loadPeftAdapter(adapter, peftTypes === undefined ? {} : { peftTypes });
  try {
    await requirePlannedAdapter(plan.body, opened, adapter, peftTypes);
  } finally {
    await opened.tensors.close();
  }
}

function roundOf({ body, fingerprint }: TrustedPlan): Pick<ReleaseBody, 'round' | 'loraMode' | 'baseModel'> {
  return {
    round: { cohort: body.cohort, round: body.round, plan: fingerprint },
    loraMode: body.loraMode,
    ...(body.baseModel !== undefined && { baseModel: body.baseModel }),
  };
}

/**
 * What is withdrawn by going back to release `to`: every adapter that was released since, but the one that comes back.
 * Listed, not implied: a client that missed one of those releases then knows it too.
 */
function rollbackOf(
  earlier: readonly ReleaseBody[],
  to: number | undefined,
  adapter: Uint8Array,
): ReleaseBody['rollback'] {
  if (to === undefined) {
    const withdrawn = withdrawnAdapters(earlier);
    const counter = (earlier.at(-1)?.counter ?? 0) + 1;
    requireNotWithdrawn(
      { counter, adapterFingerprint: adapter },
      { isWithdrawn: (fingerprint) => withdrawn.has(hex(fingerprint)) },
    );
    return undefined;
  }
  const target = earlier.find(({ counter }) => counter === to);
  if (target === undefined) {
    throw new RefusedError(
      'release.unknown-counter',
      `The owner's records have no release ${to} of this policy. Released were: ${earlier.map(({ counter }) => counter).join(', ') || 'none'}.`,
    );
  }
  if (!sameBytes(target.adapterFingerprint, adapter)) {
    throw new RefusedError(
      'release.rollback-other-adapter',
      `Release ${to} had adapter ${hex(target.adapterFingerprint)}; this one is ${hex(adapter)}. Give the directory that ` +
        `was released as ${to}, its two files unchanged.`,
    );
  }
  return { to, withdrawn: withdrawnSince(earlier, target) };
}

function withdrawnSince(
  earlier: readonly ReleaseBody[],
  target: ReleaseBody,
): Rollback['withdrawn'][number][] {
  const since = earlier
    .filter(({ counter }) => counter > target.counter)
    .map(({ adapterFingerprint: adapter }) => [hex(adapter), adapter] as const);
  const adapters = new Map(since);
  adapters.delete(hex(target.adapterFingerprint));
  if (adapters.size === 0 || adapters.size > MAX_WITHDRAWN) {
    throw new RefusedError(
      'release.nothing-to-roll-back',
      adapters.size === 0
        ? `Release ${target.counter} still has the current adapter: there is nothing to go back from.`
        : `${adapters.size} adapters were released since ${target.counter}; a rollback withdraws ${MAX_WITHDRAWN} at most.`,
    );
  }
  return [...adapters.values()].sort(Buffer.compare);
}
