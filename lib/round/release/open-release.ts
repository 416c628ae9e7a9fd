/** The client's side of a release: everything is checked before anything takes its place, and recorded after. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE } from '../../adapter/peft.js';
import { sameBytes } from '../../custody/fields.js';
import { openPayload } from '../../custody/release/payload-cipher.js';
import { type OfferedRelease, requireFollowedPolicy } from '../../custody/release/release-rules.js';
import type { ReleaseState } from '../../custody/release/release-state.js';
import { openWrap, ownSlot, readWrap } from '../../custody/release/wraps.js';
import { requireSameFleet, type TrustedRoster } from '../../custody/roster.js';
import type { SecretBytes } from '../../custody/secret-bytes.js';
import { withDirectoryLock } from '../../durable/directory-lock.js';
import { VerificationError } from '../../errors.js';
import { plaintextBytes, type ReleaseBody, type ReleasePayload } from '../../package/messages/release.js';
import { type Container, openContainer } from '../../package/reader.js';
import { requireLoadable } from './adapter-files.js';
import { StagedAdapter } from './adapter-placement.js';

export interface OpenReleaseOptions {
  readonly file: string | Uint8Array;
  readonly roster: TrustedRoster;
  readonly clientId: string;
  /**
   * The seed of the KEM key whose public key has this SHA-256 (32 bytes), and what it is needed for. It is wiped once the
   * release's key is open, so the caller hands over one of its own.
   */
  readonly kemFor: (kemDigest: Uint8Array, what: string) => Promise<SecretBytes>;
  readonly state: ReleaseState;
  /** The policy that the release must be of: needed where the client follows several, or is to follow another one. */
  readonly policy?: string | undefined;
  /** The PEFT types that may be taken; LoRA alone unless told. */
  readonly peftTypes?: readonly string[] | undefined;
  /** The adapter directory to write. */
  readonly out: string;
  readonly now?: () => number;
}

export interface OpenedRelease {
  readonly body: ReleaseBody;
  /** Fingerprint of the release, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** Whether it was taken before, and has only been written again. */
  readonly again: boolean;
}

/**
 * Verifies a release, decrypts it beside `out`, checks what came out, puts it in place, and then records that it was taken.
 * What is refused leaves `out` and the record as they were. A crash, or a disk on which nothing can be recorded, leaves the
 * old record with the old adapter or the new one, and the release opens again; never a record of an adapter that is not
 * there. Calls of one client wait for each other.
 *
 * The adapter's files have mode 0600: what the cloud may not read is not for every user of the robot either.
 *
 * @throws VerificationError `container.*`, `hpke.open-failed`, `release.content-broken`, `release.wrong-content`
 * @throws RefusedError `release.older`, `release.equivocation`, `release.rolled-back`, `release.rollback-mismatch`,
 *   `release.other-policy`, `release.not-a-recipient`, `adapter.*`
 * @throws FormatError `container.*`, `roster.other-fleet`, `safetensors.*`; EnvironmentError `storage.*`
 */
export async function openRelease(options: OpenReleaseOptions): Promise<OpenedRelease> {
  const { roster, state } = options;
  const container = await openContainer(options.file, 'release');
  try {
    requireSameFleet(roster, container.body.fleet, 'release');
    await container.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
    return await withDirectoryLock(state.lockDirectory, () => take(container, options));
  } finally {
    await container.close();
  }
}

async function take(container: Container<'release'>, options: OpenReleaseOptions): Promise<OpenedRelease> {
  const { state, clientId } = options;
  const { body, fingerprint } = container;
  requireFollowedPolicy(body.policy, options.policy, state.policies(body.fleet));
  const offered: OfferedRelease = { ...body, release: fingerprint };
  const judged = state.judge(offered);
  const slot = ownSlot(body, clientId);
  const staged = await StagedAdapter.begin(options.out);
  try {
    const contentKey = await openContentKey(container, slot, options);
    try {
      await decryptInto(staged.directory, container, contentKey);
    } finally {
      contentKey.wipe();
    }
    await requireAsAnnounced(staged.directory, body, options);
    await staged.place();
  } catch (error) {
    await staged.discard();
    throw error;
  }
  state.record(offered, (options.now ?? Date.now)());
  await staged.finish();
  return { body, fingerprint, again: judged === 'again' };
}

async function openContentKey(
  container: Container<'release'>,
  slot: number,
  options: OpenReleaseOptions,
): Promise<SecretBytes> {
  const { body } = container;
  const wrap = await readWrap(container.streamSection('wraps'), slot);
  const recipient = body.recipients[slot] as ReleaseBody['recipients'][number];
  const seed = await options.kemFor(recipient.kem, `release ${body.counter} of policy ${body.policy}`);
  try {
    return await openWrap(body, options.roster.ownerKeyId, slot, wrap, seed);
  } finally {
    seed.wipe();
  }
}

async function decryptInto(
  directory: string,
  container: Container<'release'>,
  contentKey: SecretBytes,
): Promise<void> {
  const { body } = container;
  const { payload } = body;
  const cipher = {
    key: contentKey,
    noncePrefix: payload.noncePrefix,
    release: body,
    plaintextBytes: plaintextBytes(payload),
  };
  const config = await ReceivedFile.create(join(directory, ADAPTER_CONFIG_FILE), payload.config);
  try {
    const tensors = await ReceivedFile.create(join(directory, ADAPTER_TENSORS_FILE), payload.tensors);
    try {
      for await (const piece of openPayload(cipher, container.streamSection('payload'))) {
        await tensors.append(await config.append(piece));
      }
      await config.finish();
      await tensors.finish();
    } finally {
      await tensors.close();
    }
  } finally {
    await config.close();
  }
}

/** A file that is written as it is decrypted, up to the size that was announced for it. */
class ReceivedFile {
  readonly #hash: Hash = createHash('sha256');
  #receivedBytes = 0;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly expected: ReleasePayload['config'],
  ) {}

  static async create(path: string, expected: ReleasePayload['config']): Promise<ReceivedFile> {
    return new ReceivedFile(path, await open(path, 'wx', 0o600), expected);
  }

  /** Takes what belongs to this file; returns the rest. */
  async append(bytes: Uint8Array): Promise<Uint8Array> {
    const own = bytes.subarray(0, this.expected.sizeBytes - this.#receivedBytes);
    if (own.length > 0) {
      this.#hash.update(own);
      await this.file.writeFile(own);
      this.#receivedBytes += own.length;
    }
    return bytes.subarray(own.length);
  }

  /** Flushes the file to the disk. @throws VerificationError `release.wrong-content` */
  async finish(): Promise<void> {
    if (
      this.#receivedBytes !== this.expected.sizeBytes ||
      !sameBytes(this.#hash.digest(), this.expected.digest)
    ) {
      throw wrongContent(`${this.path} is not the file whose digest the release names`);
    }
    await this.file.sync();
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

async function requireAsAnnounced(
  directory: string,
  body: ReleaseBody,
  options: OpenReleaseOptions,
): Promise<void> {
  const { peftTypes } = options;
  const { schema } = await requireLoadable(directory, { peftTypes, readValues: false });
  if (!sameBytes(schema, body.adapterSchema)) {
    throw wrongContent('its tensors are not those whose fingerprint the release names');
  }
}

function wrongContent(what: string): VerificationError {
  return new VerificationError(
    'release.wrong-content',
    `The release does not hold what it says: ${what}. Nothing was written; show it to the owner.`,
  );
}
