/** The releases that were published, and what their signed headers say of them. */
import { z } from 'zod';
import { hex } from '../../package/messages/common.js';
import { openContainer } from '../../package/reader.js';
import type { ReleaseReference } from '../../package/release-reference.js';
import type { Store } from '../../store/store.js';
import { StoredFileSource } from '../files/stored-file.js';
import { fileRecordSchema } from '../rounds/stored-round.js';
import { listJson, readJson } from '../state/json-state.js';
import { RELEASE_PREFIX } from '../state/keys.js';

export const releaseRecordSchema = fileRecordSchema.extend({
  counter: z.int(),
  policy: z.string(),
  plan: z.string().optional(),
});
export type ReleaseRecord = z.infer<typeof releaseRecordSchema>;

export interface ReleaseFacts {
  readonly reference: ReleaseReference;
  /** Clients that it was encrypted to. */
  readonly recipients: ReadonlySet<string>;
  /** Of one that goes back. */
  readonly rollback?: { readonly to: number; readonly withdrawn: readonly string[] } | undefined;
}

/** Headers list recipients: a few are kept, those of the releases that are on their way. */
const MAX_CACHED = 8;

export function releaseKey(counter: number): string {
  return `${RELEASE_PREFIX}.${counter}`;
}

export class ReleaseBook {
  readonly #facts = new Map<string, ReleaseFacts>();

  constructor(private readonly store: Pick<Store, 'state' | 'blobs'>) {}

  async find(counter: number): Promise<ReleaseRecord | undefined> {
    return (await readJson(this.store.state, releaseRecordSchema, releaseKey(counter)))?.value;
  }

  /** The newest first; of all policies, or of one. */
  async list(policy?: string): Promise<ReleaseRecord[]> {
    const found: ReleaseRecord[] = [];
    for await (const { value } of listJson(this.store.state, releaseRecordSchema, RELEASE_PREFIX)) {
      if (policy === undefined || value.policy === policy) found.push(value);
    }
    return found.sort((a, b) => b.counter - a.counter);
  }

  /** From its header, whose signature was verified before it was stored. @throws as `openContainer` does */
  async facts({ fingerprint, file }: ReleaseRecord): Promise<ReleaseFacts> {
    const known = this.#facts.get(fingerprint);
    if (known !== undefined) return known;
    const container = await openContainer(new StoredFileSource(this.store.blobs, file), 'release');
    await container.close();
    const { counter, adapterFingerprint, recipients, rollback } = container.body;
    const facts: ReleaseFacts = {
      reference: { counter, adapterFingerprint: hex(adapterFingerprint) },
      recipients: new Set(recipients.map(({ client }) => client)),
      ...(rollback !== undefined && {
        rollback: { to: rollback.to, withdrawn: rollback.withdrawn.map(hex) },
      }),
    };
    if (this.#facts.size >= MAX_CACHED) this.#facts.delete(this.#facts.keys().next().value as string);
    this.#facts.set(fingerprint, facts);
    return facts;
  }
}
