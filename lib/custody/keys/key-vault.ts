/**
 * What a key store is made of: its database, the files of its wrapped secrets, the wrapper, and the trail of what is done
 * with them. Everything that changes goes through `commit`, which writes the entry and the change together.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { DurableDatabase } from '../../durable/durable-database.js';
import { createPrivateDirectory, errorCode, requirePrivateDirectory } from '../../durable/private-files.js';
import { EnvironmentError, FormatError, RefusedError, VerificationError } from '../../errors.js';
import { decodeCbor } from '../../package/cbor-decoding.js';
import { keyIdOf, type PublicKeys, publicKeysSchema } from '../../package/keys.js';
import { importSecret, type LocalSigningKey } from '../../package/signing-key.js';
import type { SecretBytes } from '../secret-bytes.js';
import type { KeyWrapper } from '../wrappers/key-wrapper.js';
import { openWrapper, type WrapperConfig, wrapperConfigSchema } from '../wrappers/wrapper-config.js';
import { type AuditOwner, AuditTrail, type NewEntry } from './audit-trail.js';
import {
  type BreakGlassRow,
  breakGlassRow,
  corrupt,
  description,
  type KeyRow,
  keyRow,
  type Role,
  storeRow,
} from './key-rows.js';
import { PERMITTED } from './key-states.js';
import { bindSecret, type SecretBinding, unbindSecret } from './secret-binding.js';
import { SecretFiles } from './secret-files.js';

export const KEY_STORE_FILE = 'keystore.sqlite';
const SECRETS_DIRECTORY = 'keys';

export interface VaultIdentity extends AuditOwner {
  readonly role: Role;
  readonly publicKeys: PublicKeys;
}

const epochFloorRow = storeRow.pick({ epoch_floor: true });
const wrapperRow = storeRow.pick({ wrapper_config: true });

export class KeyVault {
  readonly directory: string;
  readonly identity: VaultIdentity;
  readonly trail: AuditTrail;
  readonly database: DurableDatabase;
  readonly files: SecretFiles;
  #wrapper: { readonly config: string; readonly opened: Promise<KeyWrapper> } | undefined;
  #signing: Promise<LocalSigningKey> | undefined;

  private constructor(directory: string, database: DurableDatabase, identity: VaultIdentity) {
    this.directory = directory;
    this.database = database;
    this.identity = identity;
    this.trail = new AuditTrail(database, identity);
    this.files = secretFilesIn(directory);
  }

  /**
   * Opens what `initialize` finished, and shreds what a crash left of other things.
   *
   * @throws EnvironmentError `key.unfinished`, `key.old-format`, `storage.*`; VerificationError `key.store-corrupt`
   */
  static async open(directory: string): Promise<KeyVault> {
    const database = await openDatabase(directory);
    try {
      await requirePrivateDirectory(join(directory, SECRETS_DIRECTORY)).catch((error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw error;
      });
      const identity = readIdentity(database);
      if (identity === undefined) {
        throw new EnvironmentError(
          'key.unfinished',
          `The keys in ${directory} were not finished: making them was interrupted. Make them again.`,
        );
      }
      const vault = new KeyVault(directory, database, identity);
      vault.shredUnreferenced();
      return vault;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /**
   * The database of a new key store, empty.
   *
   * @throws RefusedError `key.exists` where there are keys; one that was not finished is begun anew
   */
  static async prepare(directory: string): Promise<DurableDatabase> {
    await createPrivateDirectory(directory);
    const path = join(directory, KEY_STORE_FILE);
    const database = await DurableDatabase.create(path, description).catch((error: unknown) => {
      if (errorCode(error) === 'storage.exists') return DurableDatabase.open(path, description);
      throw error;
    });
    if (readIdentity(database) !== undefined) {
      database.close();
      throw new RefusedError(
        'key.exists',
        `${directory} has keys, and a key is never overwritten. Choose another directory.`,
      );
    }
    const files = secretFilesIn(directory);
    files.prepare();
    for (const name of files.names()) files.shred(name);
    return database;
  }

  close(): void {
    this.database.close();
    this.#closeWrapper();
  }

  rows(): KeyRow[] {
    return this.database.all(keyRow, 'SELECT * FROM key ORDER BY name');
  }

  /** @throws RefusedError `key.unknown` */
  row(name: string): KeyRow {
    const row = this.database.get(keyRow, 'SELECT * FROM key WHERE name = ?', [name]);
    if (row !== undefined) return row;
    throw new RefusedError('key.unknown', `${this.directory} has no key "${name}". "keys list" shows them.`);
  }

  epochFloor(): number {
    const row = this.database.get(epochFloorRow, 'SELECT epoch_floor FROM store');
    if (row === undefined) throw corrupt('it does not say whose it is');
    return row.epoch_floor;
  }

  /** Uses of break-glass that no officer has closed, oldest first. */
  openUses(): BreakGlassRow[] {
    const sql = 'SELECT * FROM break_glass WHERE closed_entry IS NULL ORDER BY entry';
    return this.database.all(breakGlassRow, sql);
  }

  wrapperConfig(): WrapperConfig {
    const row = this.database.get(wrapperRow, 'SELECT wrapper_config FROM store');
    const parsed = wrapperConfigSchema.safeParse(row && JSON.parse(row.wrapper_config));
    if (!parsed.success) throw corrupt('it does not say how its keys are wrapped');
    return parsed.data;
  }

  /** What the store names now: another process may have wrapped every key anew. One that does not open is tried again. */
  wrapper(): Promise<KeyWrapper> {
    const wrapperConfig = this.wrapperConfig();
    const config = JSON.stringify(wrapperConfig);
    if (this.#wrapper?.config !== config) {
      this.#closeWrapper();
      const opened = openWrapper(wrapperConfig, { directory: this.directory });
      const wrapper = { config, opened };
      this.#wrapper = wrapper;
      opened.catch(() => {
        if (this.#wrapper === wrapper) this.#wrapper = undefined;
      });
    }
    return this.#wrapper.opened;
  }

  /** The role's signing key, for what it says to others. @throws RefusedError `key.not-active`; `wrapper.*` */
  async signing(): Promise<LocalSigningKey> {
    this.requireSigning();
    return this.#auditKey();
  }

  /** Unlocks nothing. @throws RefusedError `key.not-active` where {@link signing} does */
  requireSigning(): void {
    const { state } = this.row('signing');
    if (PERMITTED[state].protect) return;
    throw new RefusedError(
      'key.not-active',
      `The signing key in ${this.directory} is ${state}: it signs nothing but the audit trail.`,
    );
  }

  /**
   * The same key, for the trail alone, in whatever state: a suspended one could not become active again otherwise, and the
   * keys of a role whose signing key is compromised could not be destroyed. Unwrapped once a process. No entry can be there
   * before, since this is the key that signs entries: that it was unwrapped is the first thing that it signs, and on the disk
   * before it signs anything else.
   */
  #auditKey(): Promise<LocalSigningKey> {
    this.#signing ??= this.#unlockSigning().catch((error: unknown) => {
      this.#signing = undefined;
      throw error;
    });
    return this.#signing;
  }

  /** Appends entries and makes a change, together. @param change gets the last entry's number */
  async commit(entries: readonly NewEntry[], change?: (entry: number) => void): Promise<void> {
    await this.trail.append(await this.#auditKey(), entries, change);
    this.shredUnreferenced();
  }

  /** Records that a key is unwrapped, before it is. */
  async recordUnwrap(row: KeyRow, what: string): Promise<void> {
    const { id } = (await this.wrapper()).describe();
    await this.commit([{ kind: 'unwrap', key: row.name, detail: { wrapper: id, what } }]);
  }

  /**
   * @throws RefusedError `key.wrapped-elsewhere` where the file was wrapped by another key than the store's wrapper has
   * @throws VerificationError `key.wrong-secret` for the file of another key
   */
  async unwrap(row: KeyRow): Promise<SecretBytes> {
    if (row.secret_file === null) {
      throw new RefusedError(
        'key.no-secret',
        `The secret of key "${row.name}" is gone: the key is ${row.state}.`,
      );
    }
    const file = this.files.read(row.secret_file);
    const wrapper = await this.wrapper();
    if (file.wrapper !== wrapper.describe().id) {
      throw new RefusedError(
        'key.wrapped-elsewhere',
        `Key "${row.name}" is wrapped by ${file.wrapper}, and this store's wrapper is ${wrapper.describe().id}. ` +
          'Name the wrapper that it was wrapped with, and run "keys rewrap" to change it.',
      );
    }
    const bound = await wrapper.unwrap(file.blob);
    try {
      return unbindSecret(this.binding(row), bound);
    } finally {
      bound.wipe();
    }
  }

  /** Wraps a secret for a file, which the caller writes inside its transaction. */
  async wrap(
    key: Pick<KeyRow, 'name' | 'purpose'>,
    secret: SecretBytes,
    by?: KeyWrapper,
  ): Promise<WrappedSecret> {
    const wrapper = by ?? (await this.wrapper());
    const bound = bindSecret(this.binding(key), secret);
    try {
      return { wrapper: wrapper.describe().id, blob: await wrapper.wrap(bound) };
    } finally {
      bound.wipe();
    }
  }

  binding({ name, purpose }: Pick<KeyRow, 'name' | 'purpose'>): SecretBinding {
    const { fleet, role, id } = this.identity;
    return { fleet, role, id, name, purpose };
  }

  /** Removes files that no row refers to: of destroyed keys, and of what a crash interrupted. */
  shredUnreferenced(): void {
    const strays = (): string[] => {
      const kept = new Set(this.rows().flatMap((row) => [row.secret_file, row.recovery_file]));
      return this.files.names().filter((name) => !kept.has(name));
    };
    if (strays().length === 0) return;
    // Under the write lock: another process may be between its file and its row.
    this.database.transaction(() => {
      for (const name of strays()) this.files.shred(name);
    });
  }

  #closeWrapper(): void {
    void this.#wrapper?.opened.then((wrapper) => wrapper.close()).catch(() => undefined);
    this.#wrapper = undefined;
  }

  async #unlockSigning(): Promise<LocalSigningKey> {
    const row = this.row('signing');
    const secret = await this.unwrap(row);
    let signing: LocalSigningKey;
    try {
      signing = secret.use((bytes) => importSecret(signingSeeds(bytes)));
    } finally {
      secret.wipe();
    }
    if (Buffer.compare(signing.keyId, keyIdOf(this.identity.publicKeys)) !== 0) {
      throw new VerificationError(
        'key.wrong-secret',
        `The signing key in ${this.directory} is not the one that the key store was made with.`,
      );
    }
    const { id } = (await this.wrapper()).describe();
    await this.trail.append(signing, [
      { kind: 'unwrap', key: row.name, detail: { wrapper: id, what: 'sign' } },
    ]);
    return signing;
  }
}

export interface WrappedSecret {
  readonly wrapper: string;
  readonly blob: Uint8Array;
}

export function secretFilesIn(directory: string): SecretFiles {
  return new SecretFiles(join(directory, SECRETS_DIRECTORY));
}

/** Ed25519's seed, and ML-DSA-65's after it where there is one: views into `bytes`. */
function signingSeeds(bytes: Uint8Array): { ed25519: Uint8Array; 'ml-dsa-65'?: Uint8Array } {
  const ed25519 = bytes.subarray(0, 32);
  return bytes.length === 64 ? { ed25519, 'ml-dsa-65': bytes.subarray(32) } : { ed25519 };
}

function readIdentity(database: DurableDatabase): VaultIdentity | undefined {
  const row = database.get(storeRow, 'SELECT * FROM store');
  if (row === undefined) return undefined;
  const keys = publicKeysSchema.safeParse(decodeCbor(row.public_keys, 'the public keys of a key store'));
  if (!keys.success) throw corrupt('its public keys are malformed');
  return { fleet: row.fleet, role: row.role, id: row.id, publicKeys: keys.data };
}

async function openDatabase(directory: string): Promise<DurableDatabase> {
  return DurableDatabase.open(join(directory, KEY_STORE_FILE), description);
}

/** The JSON text of a wrapper's configuration, checked. @throws FormatError `wrapper.bad-config` */
export function wrapperConfigText(config: WrapperConfig): string {
  const parsed = wrapperConfigSchema.safeParse(config);
  if (!parsed.success) {
    throw new FormatError(
      'wrapper.bad-config',
      `The wrapper is not described: ${z.prettifyError(parsed.error)}`,
    );
  }
  return JSON.stringify(parsed.data);
}
