/**
 * Taking in updates: the envelope first, which is verified before a byte of the rest is read; then its chunks, in any order,
 * each held against the digest that the client signed. What is stored once need not be sent again after a cut.
 */
import { z } from 'zod';
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { checkUpdate } from '../../custody/trusted-update.js';
import { FormatError, RefusedError } from '../../errors.js';
import { type Envelope, readEnvelope } from '../../package/envelope.js';
import { hex } from '../../package/messages/common.js';
import { requireTrainingWithinPolicy } from '../../policy/bounds.js';
import type { Policy } from '../../policy/policy.js';
import type { Store } from '../../store/store.js';
import { takeEnvelope } from '../files/envelope-reader.js';
import { readStored, type StoredFile, storeBytes } from '../files/stored-file.js';
import { chunksOf, requireChunk, requireFileBytes, sectionChunks } from '../files/verified-file.js';
import { changeJson, createJson, readJson } from '../state/json-state.js';
import { keyOf, type UploadRecord, uploadRecordSchema } from './stored-round.js';

/** Envelopes have a few kilobytes; one with tens of thousands of tensor names has megabytes. */
export const MAX_ENVELOPE_BYTES = 4 << 20;

/** Different updates that a client may begin in a round: each costs storage until the round is closed. */
const MAX_BEGUN = 16;

const begunSchema = z.strictObject({ fingerprints: z.array(z.string()).max(MAX_BEGUN) });

export interface UploadTarget {
  /** 64 hexadecimal digits. */
  readonly planHex: string;
  readonly plan: TrustedPlan;
  /** Who sends it, as it is authenticated. */
  readonly client: string;
  /** Of the update, as the path names it. */
  readonly fingerprint: string;
  /** Whether the round would take it now. @throws RefusedError `round.*` */
  readonly admit: (envelope: Envelope<'update'>) => Promise<void>;
}

export interface Upload {
  readonly envelope: Envelope<'update'>;
  readonly file: StoredFile;
  readonly record: UploadRecord;
}

export class UpdateIntake {
  constructor(
    private readonly store: Store,
    private readonly policy: Policy,
  ) {}

  /** The upload, if its envelope is here. */
  async find(planHex: string, fingerprint: string): Promise<Upload | undefined> {
    const stored = await readJson(
      this.store.state,
      uploadRecordSchema,
      keyOf('upload', planHex, fingerprint),
    );
    if (stored === undefined) return undefined;
    const parts: Uint8Array[] = [];
    for await (const part of readStored(this.store.blobs, stored.value.envelope)) parts.push(part);
    const envelope = readEnvelope(new Uint8Array(Buffer.concat(parts)), 'update');
    return { envelope, file: [...stored.value.envelope, ...chunksOf(envelope)], record: stored.value };
  }

  /**
   * Verifies and keeps an envelope, if the round would take the update now. The same one again is fine.
   *
   * @throws RefusedError `update.*`, `roster.*`, `policy.*`, `auth.not-yours`, `round.*`, `upload.too-many`; VerificationError, FormatError `container.*`
   */
  async begin(target: UploadTarget, envelopeBytes: Uint8Array): Promise<Upload> {
    const envelope = readEnvelope(envelopeBytes, 'update');
    await this.#check(target, envelope);
    await target.admit(envelope);
    await this.#count(target);
    const stored = await storeBytes(this.store.blobs, envelope.envelopeBytes);
    const record = { client: target.client, envelope: [...stored], atMs: Date.now() };
    await createJson(this.store.state, keyOf('upload', target.planHex, target.fingerprint), record);
    return { envelope, file: [...stored, ...chunksOf(envelope)], record };
  }

  /** The numbers of chunks that are not here yet. */
  async missing({ envelope }: Upload): Promise<readonly number[]> {
    const chunks = chunksOf(envelope);
    const here = await Promise.all(chunks.map(({ digest }) => this.store.blobs.has(digest)));
    return here.flatMap((has, i) => (has ? [] : [i]));
  }

  /**
   * Keeps a chunk; on the disk when this resolves.
   *
   * @throws RefusedError `upload.no-such-chunk`; VerificationError `container.digest-mismatch`; FormatError `upload.wrong-length`
   */
  async chunk({ envelope }: Upload, index: number, bytes: Uint8Array): Promise<void> {
    const chunk = chunksOf(envelope)[index];
    if (chunk === undefined) {
      throw new RefusedError(
        'upload.no-such-chunk',
        `The update has no chunk ${index}; its header says which there are.`,
      );
    }
    await requireChunk(chunk, index, bytes);
    await this.store.blobs.put(chunk.digest, bytes);
  }

  /**
   * Takes a whole file from a stream. Nothing after the envelope is read before the envelope is verified; what is here already
   * is read over.
   *
   * @param sizeBytes as the sender declared it
   * @throws as {@link begin} and {@link chunk}; FormatError `upload.wrong-length`
   */
  async whole(target: UploadTarget, body: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<Upload> {
    const { maxUpdateBytes } = target.plan.roster.body;
    if (sizeBytes > maxUpdateBytes) {
      throw new FormatError(
        'container.too-large',
        `The update has ${sizeBytes} bytes; the roster's ceiling is ${maxUpdateBytes}.`,
      );
    }
    const { envelope: envelopeBytes, rest } = await takeEnvelope(body, sizeBytes, MAX_ENVELOPE_BYTES);
    try {
      const upload = await this.begin(target, envelopeBytes);
      requireFileBytes(upload.envelope, sizeBytes);
      const missing = new Set(await this.missing(upload));
      let index = 0;
      for await (const bytes of sectionChunks(upload.envelope, rest)) {
        if (missing.has(index)) await this.chunk(upload, index, bytes);
        index += 1;
      }
      return upload;
    } finally {
      await rest.return();
    }
  }

  async #count({ planHex, client, fingerprint }: UploadTarget): Promise<void> {
    await changeJson(this.store.state, begunSchema, keyOf('begun', planHex, client), (begun) => {
      const fingerprints = begun?.fingerprints ?? [];
      if (fingerprints.includes(fingerprint)) return undefined;
      if (fingerprints.length < MAX_BEGUN) return { fingerprints: [...fingerprints, fingerprint] };
      throw new RefusedError(
        'upload.too-many',
        `The client has begun ${MAX_BEGUN} updates in this round, which is all that it may. End one of them.`,
      );
    });
  }

  async #check({ plan, client, fingerprint }: UploadTarget, envelope: Envelope<'update'>): Promise<void> {
    if (hex(envelope.fingerprint) !== fingerprint) {
      throw new RefusedError(
        'upload.other-fingerprint',
        'The update has another fingerprint than the path names. Name the one that it has.',
      );
    }
    if (envelope.body.client !== client) {
      throw new RefusedError(
        'auth.not-yours',
        `The update is of "${envelope.body.client}"; a client sends its own.`,
      );
    }
    await checkUpdate(envelope, plan);
    requireTrainingWithinPolicy(this.policy, envelope.body.safety ?? {});
  }
}
