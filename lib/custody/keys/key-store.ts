/** A role's keys: wrapped at rest, in states, every step on the audit trail. */
import { randomBytes } from 'node:crypto';
import { RefusedError } from '../../errors.js';
import { encodeCbor } from '../../package/cbor-encoding.js';
import { sha256 } from '../../package/digests.js';
import type { PublicKeys, SignatureAlgorithm } from '../../package/keys.js';
import { importSecret, type LocalSigningKey } from '../../package/signing-key.js';
import { hex, requireInteger } from '../fields.js';
import { generateKemKey } from '../hpke.js';
import { SecretBytes } from '../secret-bytes.js';
import type { KeyWrapper, WrapperDescription } from '../wrappers/key-wrapper.js';
import { openWrapper, type WrapperConfig } from '../wrappers/wrapper-config.js';
import type { AuditDetail, AuditKind } from './audit-entry.js';
import { type AuditHead, AuditTrail, type NewEntry, type SignedHead } from './audit-trail.js';
import { type AuditVerdict, verifyAudit } from './audit-verification.js';
import type { KeyPurpose, KeyRow, Role } from './key-rows.js';
import { type KeyState, PERMITTED, requireTransition, wayToDestruction } from './key-states.js';
import { KeyVault, secretFilesIn, type WrappedSecret, wrapperConfigText } from './key-vault.js';
import { recoveryEntry, sealRecovery } from './recovery-files.js';
import { recordRefusal } from './refusals.js';
import { bindSecret } from './secret-binding.js';

export interface KeyRecord {
  /** `signing`, `prf`, `kem-EPOCH`. */
  readonly name: string;
  readonly purpose: KeyPurpose;
  /** Of a KEM key. */
  readonly epoch: number | undefined;
  readonly state: KeyState;
  /** Of a KEM key: 1216 bytes. */
  readonly publicKey: Uint8Array | undefined;
  readonly createdMs: number;
  /** `WrapperDescription.id` of what it is wrapped by. */
  readonly wrapperId: string;
  /** Whether officers hold shares of a key that opens a copy of it. */
  readonly recoverable: boolean;
}

export interface NewKeyStore {
  readonly role: Role;
  readonly id: string;
  readonly fleet: string;
  readonly algorithms: readonly SignatureAlgorithm[];
  readonly wrapper: WrapperConfig;
  /** Makes `kem-EPOCH`. */
  readonly kem?: { readonly epoch: number; readonly state: KeyState };
  /** Makes `prf`. */
  readonly prf?: boolean;
}

export function kemName(epoch: number): string {
  return `kem-${epoch}`;
}

/** A file's name is used once, so that a change never overwrites what it may have to go back to. */
export function secretFileName(name: string): string {
  return `${name}.${randomBytes(6).toString('hex')}.key`;
}

interface NewKey {
  readonly name: string;
  readonly purpose: KeyPurpose;
  readonly epoch: number | undefined;
  readonly state: KeyState;
  readonly publicKey: Uint8Array | undefined;
  readonly wrapped: WrappedSecret;
}

const ENTRY_OF: Partial<Record<KeyState, AuditKind>> = {
  active: 'activate',
  suspended: 'suspend',
  deactivated: 'deactivate',
  compromised: 'compromise',
  destroyed: 'destroy',
};

const INSERT_KEY = `INSERT INTO key (name, purpose, epoch, state, public_key, created_ms, wrapper, secret_file,
  recovery_file, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

export class KeyStore {
  /** For the parts of the key store that lie in other files. */
  readonly vault: KeyVault;

  private constructor(vault: KeyVault) {
    this.vault = vault;
  }

  /**
   * Makes the keys of a new role where they will live. Nothing is there, or all of it: an interrupted call is begun anew.
   *
   * @throws RefusedError `key.exists`; `wrapper.*`
   */
  static async create(directory: string, options: NewKeyStore): Promise<KeyStore> {
    const { role, id, fleet } = options;
    const config = wrapperConfigText(options.wrapper);
    const database = await KeyVault.prepare(directory);
    const wrapper = await openWrapper(options.wrapper, { directory });
    const secrets: { readonly key: Omit<NewKey, 'wrapped'>; readonly secret: SecretBytes }[] = [];
    try {
      const signingSecret = SecretBytes.random(options.algorithms.includes('ml-dsa-65') ? 64 : 32);
      const signing = signingSecret.use((bytes) =>
        importSecret({
          ed25519: bytes.subarray(0, 32),
          ...(bytes.length === 64 && { 'ml-dsa-65': bytes.subarray(32) }),
        }),
      );
      const plain = { epoch: undefined, state: 'active', publicKey: undefined } as const;
      secrets.push({ key: { ...plain, name: 'signing', purpose: 'signing' }, secret: signingSecret });
      if (options.prf === true) {
        secrets.push({ key: { ...plain, name: 'prf', purpose: 'prf' }, secret: SecretBytes.random(32) });
      }
      if (options.kem !== undefined) {
        const { epoch, state } = options.kem;
        const { seed, publicKey } = await generateKemKey();
        secrets.push({
          key: { name: kemName(epoch), purpose: 'kem', epoch, state, publicKey },
          secret: seed,
        });
      }
      const keys: NewKey[] = [];
      for (const { key, secret } of secrets) {
        const bound = bindSecret({ fleet, role, id, name: key.name, purpose: key.purpose }, secret);
        keys.push({
          ...key,
          wrapped: { wrapper: wrapper.describe().id, blob: await wrapper.wrap(bound) },
        });
        bound.wipe();
      }
      const trail = new AuditTrail(database, { fleet, role, id });
      const files = secretFilesIn(directory);
      await trail.append(signing, keys.map(creation), (last) => {
        database.run(
          `INSERT INTO store (only_row, role, id, fleet, created_ms, public_keys, wrapper_config, epoch_floor)
           VALUES (1, ?, ?, ?, ?, ?, ?, 0)`,
          [role, id, fleet, Date.now(), encodeCbor(signing.publicKeys), config],
        );
        for (const [i, key] of keys.entries()) {
          const file = secretFileName(key.name);
          files.create(file, key.wrapped);
          database.run(INSERT_KEY, keyValues(key, file, null, last - keys.length + 1 + i));
        }
      });
    } finally {
      for (const { secret } of secrets) secret.wipe();
      await wrapper.close();
      database.close();
    }
    return KeyStore.open(directory);
  }

  /**
   * Opens the key store of a role's directory. Nothing is unwrapped yet.
   *
   * @throws EnvironmentError `key.unfinished`, `storage.*`; VerificationError `key.store-corrupt`
   */
  static async open(directory: string): Promise<KeyStore> {
    return new KeyStore(await KeyVault.open(directory));
  }

  get role(): Role {
    return this.vault.identity.role;
  }

  get id(): string {
    return this.vault.identity.id;
  }

  get fleet(): string {
    return this.vault.identity.fleet;
  }

  get directory(): string {
    return this.vault.directory;
  }

  get publicKeys(): PublicKeys {
    return this.vault.identity.publicKeys;
  }

  keys(): readonly KeyRecord[] {
    return this.vault.rows().map(recordOf);
  }

  /** The KEM key with this public key, if there is one. */
  kemWith(publicKey: Uint8Array): KeyRecord | undefined {
    return this.keys().find(
      (key) => key.publicKey !== undefined && Buffer.compare(key.publicKey, publicKey) === 0,
    );
  }

  /** The KEM key of the newest epoch, whatever its state. */
  newestKem(): KeyRecord | undefined {
    return this.keys()
      .filter(({ epoch }) => epoch !== undefined)
      .sort((a, b) => (b.epoch as number) - (a.epoch as number))[0];
  }

  /** @throws RefusedError `key.not-active`; `wrapper.*` */
  signing(): Promise<LocalSigningKey> {
    return this.vault.signing();
  }

  /** Unlocks nothing. @throws RefusedError `key.not-active` where {@link signing} does */
  requireSigning(): void {
    this.vault.requireSigning();
  }

  /** A client's PRF key; the caller wipes it. */
  prf(): Promise<SecretBytes> {
    return this.#unlock(this.vault.row('prf'), 'prf');
  }

  /**
   * The secret of a KEM key, to open what was sealed to it; the caller wipes it.
   *
   * @param what it is needed for, for the trail
   * @throws RefusedError `key.unknown`, `key.state-refuses`, `key.epoch-refused`; `wrapper.*`
   */
  async kem(name: string, what: string): Promise<SecretBytes> {
    const row = this.vault.row(name);
    const floor = this.vault.epochFloor();
    if ((row.epoch ?? 0) < floor) {
      await this.refuse({ code: 'key.epoch-refused', what }, name);
      throw new RefusedError(
        'key.epoch-refused',
        `This key store was restored: it opens nothing of an epoch below ${floor}, of which it may have forgotten answers.`,
      );
    }
    return this.#unlock(row, what);
  }

  /**
   * Makes the KEM key of an epoch. As `succeed` it takes the place of those that are active, which are deactivated in the same
   * transaction: a crash in between would leave two that others may seal to.
   *
   * @throws RefusedError `key.exists`, `key.changed-meanwhile`; `wrapper.*`
   */
  async createKem(
    epoch: number,
    state: 'pre-activation' | 'active',
    kind: 'create' | 'rotate' | 'succeed' = 'create',
  ) {
    requireInteger('key epoch', epoch, 1);
    const name = kemName(epoch);
    const newest = this.newestKem()?.epoch ?? 0;
    if (epoch <= newest || epoch < this.vault.epochFloor()) {
      throw new RefusedError(
        'key.exists',
        `Epoch ${epoch} had its key, or is over: the next one is ${Math.max(newest + 1, this.vault.epochFloor())}.`,
      );
    }
    const { seed, publicKey } = await generateKemKey();
    try {
      const wrapped = await this.vault.wrap({ name, purpose: 'kem' }, seed);
      const key: NewKey = { name, purpose: 'kem', epoch, state, publicKey, wrapped };
      const officers = recoveryEntry(this.vault);
      const recovery = await sealRecovery(this.vault, key, seed);
      const retired = kind === 'succeed' ? this.#activeKems() : [];
      const entries: NewEntry[] = [creation(key), ...retired.map((old) => retirement(old, name))];
      if (kind !== 'create') entries.unshift({ kind: 'rotate', detail: { epoch } });
      await this.vault.commit(entries, (last) => {
        if (kind === 'succeed' && this.#activeKems().join() !== retired.join()) throw changedMeanwhile();
        // Wrapped by what the store no longer names, nothing would open it; nor would the officers of now what is sealed to
        // those of before.
        if (this.vault.row('signing').wrapper !== wrapped.wrapper) throw changedMeanwhile();
        if (recoveryEntry(this.vault) !== officers) throw changedMeanwhile();
        const file = secretFileName(name);
        this.vault.files.create(file, wrapped);
        const recoveryFile = recovery === undefined ? null : secretFileName(`${name}.recovery`);
        if (recovery !== undefined && recoveryFile !== null) this.vault.files.create(recoveryFile, recovery);
        const entry = last - retired.length;
        this.vault.database.run(INSERT_KEY, keyValues(key, file, recoveryFile, entry));
        for (const [i, old] of retired.entries()) moveKey(this.vault, old, 'deactivated', entry + 1 + i);
      });
    } finally {
      seed.wipe();
    }
    return recordOf(this.vault.row(name));
  }

  /**
   * Moves a key to another state.
   *
   * Destroyed: its files are gone. Compromised: the wrapped copy is gone where officers can open the other one, so that
   * "opens nothing without break-glass" does not rest on this code alone.
   *
   * @throws RefusedError `key.unknown`, `key.bad-transition`, `key.still-signs`
   */
  async transition(name: string, to: KeyState, reason: string): Promise<void> {
    const kind = ENTRY_OF[to];
    const requireWay = (): void => {
      const row = this.vault.row(name);
      requireTransition(name, row.state, to);
      if (to === 'destroyed' && row.purpose === 'signing') requireLastKey(this.vault);
    };
    requireWay();
    if (kind === undefined) throw new TypeError(`nothing becomes ${to}`);
    await this.vault.commit([{ kind, key: name, detail: { reason } }], (entry) => {
      requireWay();
      moveKey(this.vault, name, to, entry);
    });
  }

  /** Destroys a key by way of the states between. @throws RefusedError `key.unknown`, `key.still-signs` */
  async destroy(name: string, reason: string): Promise<void> {
    const { state: from, purpose } = this.vault.row(name);
    // Before the states between: a key that has to stay is not to be deactivated on the way.
    if (purpose === 'signing' && from !== 'destroyed') requireLastKey(this.vault);
    for (const state of wayToDestruction(from)) {
      await this.transition(name, state, reason);
    }
  }

  /** No key of an epoch below opens anything any more; the floor only rises. */
  async raiseEpochFloor(epoch: number, reason: string): Promise<void> {
    await this.vault.commit([{ kind: 'import', detail: { epochFloor: epoch, reason } }], () => {
      this.vault.database.run('UPDATE store SET epoch_floor = MAX(epoch_floor, ?)', [epoch]);
    });
  }

  get epochFloor(): number {
    return this.vault.epochFloor();
  }

  /** Records an act, before it takes effect: it is on the disk when this returns. */
  async record(kind: Exclude<AuditKind, 'refuse'>, detail: AuditDetail, key?: string): Promise<void> {
    await this.vault.commit([{ kind, detail, ...(key !== undefined && { key }) }]);
  }

  /** Records a refusal, before its error is returned; of many with one code, the first few of an hour. */
  refuse(detail: AuditDetail & { readonly code: string }, key?: string): Promise<void> {
    return recordRefusal(this.vault, detail, key);
  }

  auditHead(): AuditHead {
    return this.vault.trail.head();
  }

  async exportAuditHead(): Promise<SignedHead> {
    return this.vault.trail.signedHead(await this.signing());
  }

  /** Checks the whole trail. Needs no secret: an auditor can run it. */
  verifyAudit(heads: readonly SignedHead[] = []): Promise<AuditVerdict> {
    const { identity, trail } = this.vault;
    return verifyAudit({
      owner: identity,
      ...trail.readable(),
      keys: identity.publicKeys,
      states: this.keys(),
      openUses: this.vault.openUses().map(({ entry }) => entry),
      epochFloor: this.vault.epochFloor(),
      heads,
    });
  }

  async wrapperDescription(): Promise<WrapperDescription> {
    return (await this.vault.wrapper()).describe();
  }

  /**
   * Wraps every key anew: by another wrapping key, or the same one under another description (a file that moved). Either all
   * keys are, or none.
   *
   * @returns the names of the keys that were wrapped anew
   * @throws RefusedError `key.changed-meanwhile`; `wrapper.*` where the old or the new wrapper does not do it
   */
  async rewrap(config: WrapperConfig): Promise<readonly string[]> {
    const text = wrapperConfigText(config);
    const wrapper = await openWrapper(config, { directory: this.directory });
    try {
      return await this.#rewrapBy(wrapper, text);
    } finally {
      await wrapper.close();
    }
  }

  async #rewrapBy(wrapper: KeyWrapper, config: string): Promise<readonly string[]> {
    const { vault } = this;
    const { id } = wrapper.describe();
    const wrapped = new Map<string, WrappedSecret>();
    for (const row of vault.rows().filter(({ secret_file }) => secret_file !== null)) {
      await vault.recordUnwrap(row, `wrap anew by ${id}`);
      const secret = await vault.unwrap(row);
      try {
        wrapped.set(row.name, await vault.wrap(row, secret, wrapper));
      } finally {
        secret.wipe();
      }
    }
    const names = [...wrapped.keys()];
    const entries = names.map((key): NewEntry => ({ kind: 'wrap', key, detail: { wrapper: id } }));
    await vault.commit(entries, () => {
      const rows = vault.rows().filter(({ secret_file }) => secret_file !== null);
      if (rows.some(({ name }) => !wrapped.has(name))) throw changedMeanwhile();
      // Those that another process destroyed meanwhile have no secret to write.
      for (const { name } of rows) {
        const file = secretFileName(name);
        vault.files.create(file, wrapped.get(name) as WrappedSecret);
        vault.database.run('UPDATE key SET wrapper = ?, secret_file = ? WHERE name = ?', [id, file, name]);
      }
      vault.database.run('UPDATE store SET wrapper_config = ?', [config]);
    });
    return names;
  }

  close(): void {
    this.vault.close();
  }

  #activeKems(): readonly string[] {
    return this.vault
      .rows()
      .filter(({ purpose, state }) => purpose === 'kem' && state === 'active')
      .map(({ name }) => name);
  }

  async #unlock(row: KeyRow, what: string): Promise<SecretBytes> {
    if (!PERMITTED[row.state].process) {
      await this.refuse({ code: 'key.state-refuses', state: row.state, what }, row.name);
      throw new RefusedError(
        'key.state-refuses',
        `Key "${row.name}" is ${row.state} and opens nothing. ${ADVICE[row.state] ?? ''}`.trimEnd(),
      );
    }
    await this.vault.recordUnwrap(row, what);
    return this.vault.unwrap(row);
  }
}

const ADVICE: Partial<Record<KeyState, string>> = {
  'pre-activation': 'It is active once a roster lists it: "fleet join" accepts one.',
  suspended: 'An operator can make it active again: "keys activate".',
  compromised: 'Only break-glass opens one round with it: "keys break-glass answer".',
};

function changedMeanwhile(): RefusedError {
  return new RefusedError(
    'key.changed-meanwhile',
    'Another process made a key, wrapped the keys anew or set officers up while this was going on. Nothing was changed: run it again.',
  );
}

/**
 * The signing key signs the trail, in whatever state: without it no other key could be destroyed any more, nor a use of
 * break-glass closed.
 */
function requireLastKey(vault: KeyVault): void {
  const others = vault.rows().filter(({ purpose, state }) => purpose !== 'signing' && state !== 'destroyed');
  const uses = vault.openUses();
  if (others.length === 0 && uses.length === 0) return;
  const what =
    others.length > 0
      ? `${others.map(({ name }) => `"${name}"`).join(', ')} would be left, and could not be destroyed`
      : `the use of break-glass of entry ${uses[0]?.entry} would be left open`;
  throw new RefusedError(
    'key.still-signs',
    `The signing key in ${vault.directory} signs the audit trail: without it ${what}. See to that first; this key comes last.`,
  );
}

function retirement(name: string, successor: string): NewEntry {
  return { kind: 'deactivate', key: name, detail: { reason: `rotated: ${successor}` } };
}

function creation({ name, purpose, state, epoch, publicKey, wrapped }: NewKey): NewEntry {
  return {
    kind: 'create',
    key: name,
    detail: {
      ...{ purpose, state, wrapper: wrapped.wrapper },
      ...(epoch !== undefined && { epoch }),
      ...(publicKey !== undefined && { publicKey: hex(sha256(publicKey)) }),
    },
  };
}

function keyValues(key: NewKey, file: string, recoveryFile: string | null, entry: number) {
  const { name, purpose, epoch, state, publicKey, wrapped } = key;
  return [
    name,
    purpose,
    epoch ?? null,
    state,
    publicKey ?? null,
    Date.now(),
    wrapped.wrapper,
    file,
    recoveryFile,
    entry,
  ];
}

/** The row's part of a transition, inside its transaction. */
export function moveKey(vault: KeyVault, name: string, to: KeyState, entry: number): void {
  const files =
    to === 'destroyed'
      ? ', secret_file = NULL, recovery_file = NULL'
      : to === 'compromised'
        ? ', secret_file = CASE WHEN recovery_file IS NULL THEN secret_file END'
        : '';
  vault.database.run(`UPDATE key SET state = ?, entry = ?${files} WHERE name = ?`, [to, entry, name]);
}

function recordOf(row: KeyRow): KeyRecord {
  return {
    name: row.name,
    purpose: row.purpose,
    epoch: row.epoch ?? undefined,
    state: row.state,
    publicKey: row.public_key ?? undefined,
    createdMs: row.created_ms,
    wrapperId: row.wrapper,
    recoverable: row.recovery_file !== null,
  };
}
