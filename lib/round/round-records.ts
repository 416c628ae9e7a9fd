/**
 * The owner's records: which set each plan's round opened, and how it was closed. One small file a fact, written once:
 * neither can be replaced by another, and what is on the disk survives a crash.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError, RefusedError } from '../errors.js';
import { replaceFile } from '../files.js';

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);

const openedSchema = z.strictObject({
  format: z.literal('tensorguard-native opened round'),
  plan: hexDigest,
  set: hexDigest,
  updates: z.array(hexDigest).min(1),
  openedAtMs: z.int().min(0),
  ledgerHeads: z.array(z.strictObject({ custodian: z.string(), head: hexDigest })),
});

export interface OpenedRound {
  readonly plan: Uint8Array;
  readonly set: Uint8Array;
  readonly updates: readonly Uint8Array[];
  readonly openedAtMs: number;
  readonly ledgerHeads: readonly { readonly custodian: string; readonly head: Uint8Array }[];
}

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export class RoundRecords {
  constructor(private readonly directory: string) {}

  #path(plan: Uint8Array, extension: string): string {
    return join(this.directory, 'rounds', `${toHex(plan)}${extension}`);
  }

  /** Which updates were opened is for the owner alone, as its keys beside it are. */
  async #createDirectory(): Promise<void> {
    await mkdir(join(this.directory, 'rounds'), { recursive: true, mode: 0o700 });
  }

  async #makeDirectory(): Promise<void> {
    await mkdir(join(this.directory, 'rounds'), { recursive: true, mode: 0o700 });
  }

  /** @throws FormatError `owner.record-malformed` */
  async opened(plan: Uint8Array): Promise<OpenedRound | undefined> {
    const path = this.#path(plan, '.opened.json');
    const bytes = await readIfThere(path);
    if (bytes === undefined) return undefined;
    let parsed: z.infer<typeof openedSchema>;
    try {
      parsed = openedSchema.parse(JSON.parse(bytes.toString('utf8')));
    } catch (cause) {
      throw new FormatError('owner.record-malformed', `${path} is damaged. Restore it from a backup.`, {
        cause,
      });
    }
    return {
      plan: fromHex(parsed.plan),
      set: fromHex(parsed.set),
      updates: parsed.updates.map(fromHex),
      openedAtMs: parsed.openedAtMs,
      ledgerHeads: parsed.ledgerHeads.map(({ custodian, head }) => ({ custodian, head: fromHex(head) })),
    };
  }

  /**
   * Records that a set was opened; on the disk when this returns. The same set again is fine.
   *
   * @throws RefusedError `open.another-set`
   */
  async recordOpened(round: OpenedRound): Promise<void> {
    const document = {
      format: 'tensorguard-native opened round',
      plan: toHex(round.plan),
      set: toHex(round.set),
      updates: round.updates.map(toHex),
      openedAtMs: round.openedAtMs,
      ledgerHeads: round.ledgerHeads.map(({ custodian, head }) => ({ custodian, head: toHex(head) })),
    };
    await this.#createDirectory();
    await this.#makeDirectory();
    try {
      await replaceFile(this.#path(round.plan, '.opened.json'), `${JSON.stringify(document, null, 2)}\n`, {
        mode: 0o600,
        exclusive: true,
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      await this.requireSameSet(round.plan, round.set);
    }
  }

  /** @throws RefusedError `open.another-set` where another set of this plan was opened before */
  async requireSameSet(plan: Uint8Array, set: Uint8Array): Promise<void> {
    const earlier = await this.opened(plan);
    if (earlier !== undefined && Buffer.compare(earlier.set, set) !== 0) {
      throw new RefusedError(
        'open.another-set',
        'Another set of updates was opened under this plan. Two averages that differ by one client give that client ' +
          'away: a round opens one set.',
      );
    }
  }

  /** The newest ledger head that was seen of each custodian: what the next plan lists. */
  async ledgerHeads(): Promise<{ custodian: string; head: Uint8Array }[]> {
    const directory = join(this.directory, 'rounds');
    const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const newest = new Map<string, { openedAtMs: number; head: Uint8Array }>();
    for (const name of names.filter((entry) => entry.endsWith('.opened.json'))) {
      const round = await this.opened(fromHex(name.slice(0, 64)));
      for (const { custodian, head } of round?.ledgerHeads ?? []) {
        const openedAtMs = round?.openedAtMs ?? 0;
        if (openedAtMs >= (newest.get(custodian)?.openedAtMs ?? 0))
          newest.set(custodian, { openedAtMs, head });
      }
    }
    return [...newest].map(([custodian, { head }]) => ({ custodian, head }));
  }

  /** The close record, as it was signed. */
  async closed(plan: Uint8Array): Promise<Uint8Array | undefined> {
    return readIfThere(this.#path(plan, '.tgc'));
  }

  /** Keeps the first close record of a plan; returns the one that counts. */
  async recordClosed(plan: Uint8Array, record: Uint8Array): Promise<Uint8Array> {
    await this.#createDirectory();
    try {
      await replaceFile(this.#path(plan, '.tgc'), record, { exclusive: true });
      return record;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return (await this.closed(plan)) ?? record;
    }
  }
}
