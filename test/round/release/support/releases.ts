/** A fleet with KEM keys, an owner that releases to it, and clients that take the releases. */
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKemKey, type KemKey } from '../../../../lib/custody/hpke.js';
import {
  createReleaseState,
  openReleaseState,
  type ReleaseState,
} from '../../../../lib/custody/release/release-state.js';
import { kemDigest } from '../../../../lib/custody/release/wraps.js';
import type { TrustedRoster } from '../../../../lib/custody/roster.js';
import { SecretBytes } from '../../../../lib/custody/secret-bytes.js';
import { RefusedError } from '../../../../lib/errors.js';
import {
  type CreatedRelease,
  type CreateReleaseOptions,
  createRelease,
  type Recipient,
} from '../../../../lib/round/release/create-release.js';
import {
  type OpenedRelease,
  type OpenReleaseOptions,
  openRelease,
} from '../../../../lib/round/release/open-release.js';
import { ReleaseRecords } from '../../../../lib/round/release/release-records.js';
import {
  createMembers,
  type Members,
  type RosterRules,
  rosterBody,
  signRoster,
  trustRosters,
} from '../../support/members.js';

export const CREATED_MS = 1_764_000_000_000;

export interface Released extends CreatedRelease {
  readonly file: string;
}

export class ReleaseFleet {
  #files = 0;

  private constructor(
    readonly directory: string,
    readonly members: Members,
    readonly roster: TrustedRoster,
    readonly kemKeys: ReadonlyMap<string, KemKey>,
  ) {}

  static async start(
    directory: string,
    rules: (members: Members) => RosterRules = () => ({}),
  ): Promise<ReleaseFleet> {
    const members = await createMembers({ clients: 3, custodians: 3 });
    const rosterFile = await signRoster(members, rosterBody(members, rules(members)));
    await mkdir(join(directory, 'pin'), { recursive: true, mode: 0o700 });
    const roster = await trustRosters(join(directory, 'pin'), rosterFile);
    const kemKeys = new Map<string, KemKey>();
    for (const { id } of members.clients) {
      kemKeys.set(id, await generateKemKey());
      (await createReleaseState(join(directory, id))).close();
    }
    return new ReleaseFleet(directory, members, roster, kemKeys);
  }

  /** The same fleet, with all that it has come to, in another directory. */
  async copyTo(directory: string): Promise<ReleaseFleet> {
    // SQLite's own side files go whenever the garbage collector finishes a closed database.
    const filter = (path: string): boolean => !/\.sqlite-(wal|shm)$/.test(path);
    await cp(this.directory, directory, { recursive: true, filter });
    const copy = new ReleaseFleet(directory, this.members, this.roster, this.kemKeys);
    copy.#files = this.#files;
    return copy;
  }

  get records(): ReleaseRecords {
    return new ReleaseRecords(join(this.directory, 'owner'));
  }

  /** All that are active. */
  recipients(): Recipient[] {
    return this.roster.body.clients
      .filter(({ status }) => status === 'active')
      .map(({ id }) => ({ client: id, kem: this.kemKey(id).publicKey }));
  }

  kemKey(client: string): KemKey {
    return this.kemKeys.get(client) as KemKey;
  }

  path(extension: string): string {
    this.#files += 1;
    return join(this.directory, `${this.#files}${extension}`);
  }

  async create(adapter: string, changes: Partial<CreateReleaseOptions> = {}): Promise<Released> {
    const file = changes.out ?? this.path('.tgr');
    const created = await createRelease({
      signing: this.members.owner.signing,
      records: this.records,
      roster: this.roster,
      policy: 'pick',
      adapter,
      recipients: this.recipients(),
      createdMs: CREATED_MS,
      out: file,
      ...changes,
    });
    return { ...created, file };
  }

  /** As client 1 unless told, into a directory of that client's. */
  async open(file: string | Uint8Array, changes: Partial<OpenReleaseOptions> = {}): Promise<OpenedRelease> {
    const clientId = changes.clientId ?? 'client-1';
    const state = changes.state ?? (await this.state(clientId));
    try {
      return await openRelease({
        file,
        roster: this.roster,
        clientId,
        kemFor: this.kemFor(clientId),
        state,
        out: this.out(clientId),
        now: () => CREATED_MS + 1,
        ...changes,
      });
    } finally {
      if (changes.state === undefined) state.close();
    }
  }

  /** What a key store does: a copy of the one key that has this digest. */
  kemFor(client: string): OpenReleaseOptions['kemFor'] {
    const { seed, publicKey } = this.kemKey(client);
    return async (digest) => {
      if (Buffer.compare(digest, kemDigest(publicKey)) !== 0)
        throw new RefusedError('test.no-key', 'no such key');
      return new SecretBytes(seed.use((bytes) => Uint8Array.from(bytes)));
    };
  }

  out(client = 'client-1'): string {
    return join(this.directory, client, 'adapter');
  }

  async state(client = 'client-1'): Promise<ReleaseState> {
    return openReleaseState(join(this.directory, client));
  }

  async taken(client = 'client-1', policy = 'pick'): Promise<number[]> {
    const state = await this.state(client);
    try {
      return state.taken('acme', policy).map(({ counter }) => counter);
    } finally {
      state.close();
    }
  }
}
