/** What is in a release, for one of its recipients: decrypted into a directory, and held against what was signed. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE } from '../../adapter/peft.js';
import { sameBytes } from '../../custody/fields.js';
import { openPayload } from '../../custody/release/payload-cipher.js';
import { openWrap, readWrap } from '../../custody/release/wraps.js';
import type { TrustedRoster } from '../../custody/roster.js';
import type { SecretBytes } from '../../custody/secret-bytes.js';
import { VerificationError } from '../../errors.js';
import { plaintextBytes, type ReleaseBody, type ReleasePayload } from '../../package/messages/release.js';
import type { Container } from '../../package/reader.js';
import { requireLoadable } from './adapter-files.js';

export interface ReleaseOpener {
  readonly roster: TrustedRoster;
  /**
   * The seed of the KEM key whose public key has this SHA-256 (32 bytes), and what it is needed for. It is wiped once the
   * release's key is open, so the caller hands over one of its own.
   */
  readonly kemFor: (kemDigest: Uint8Array, what: string) => Promise<SecretBytes>;
  /** The PEFT types that may be taken; LoRA alone unless told. */
  readonly peftTypes?: readonly string[] | undefined;
}

/**
 * Writes the adapter of a release into `directory`, which is empty, with mode 0600; on the disk when this returns.
 *
 * @param container of a release whose signature the caller has verified
 * @param slot the recipient's
 * @throws VerificationError `container.*`, `hpke.open-failed`, `release.content-broken`, `release.wrong-content`
 * @throws RefusedError `adapter.*`; FormatError `safetensors.*`; what `kemFor` throws
 */
export async function decryptRelease(
  container: Container<'release'>,
  slot: number,
  options: ReleaseOpener,
  directory: string,
): Promise<void> {
  const contentKey = await openContentKey(container, slot, options);
  try {
    await decryptInto(directory, container, contentKey);
  } finally {
    contentKey.wipe();
  }
  await requireAsAnnounced(directory, container.body, options);
}

async function openContentKey(
  container: Container<'release'>,
  slot: number,
  options: ReleaseOpener,
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
  options: ReleaseOpener,
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
