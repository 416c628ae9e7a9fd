/**
 * The owner's records: what each plan's round came to, and its close record. A round has one outcome, a set that was
 * opened or none, in one file that is created once: opening and closing at the same time cannot both have their way.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError, RefusedError } from '../errors.js';
import { replaceFile } from '../files.js';

const OUTCOME = '.outcome.json';
const LEDGER_START = '.ledger-start.json';
const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);

const outcomeSchema = z.discriminatedUnion('outcome', [
  z.strictObject({
    format: z.literal('tensorguard-native round outcome'),
    outcome: z.literal('opened'),
    plan: hexDigest,
    set: hexDigest,
    updates: z.array(hexDigest).min(1),
    openedAtMs: z.int().min(0),
    ledgerHeads: z.array(z.strictObject({ custodian: z.string(), head: hexDigest })),
  }),
  z.strictObject({
    format: z.literal('tensorguard-native round outcome'),
    outcome: z.literal('none'),
    plan: hexDigest,
    set: hexDigest.optional(),
    reason: z.string().min(1),
  }),
]);

const ledgerStartSchema = z.strictObject({
  format: z.literal('tensorguard-native ledger start'),
  custodian: z.string(),
  head: hexDigest,
  atMs: z.int().min(0),
});

/** Where a custodian's ledger begins anew: that of new keys, or a restored one. */
export interface LedgerStart {
  readonly custodian: string;
  readonly head: Uint8Array;
  readonly atMs: number;
}

export interface OpenedRound {
  readonly plan: Uint8Array;
  readonly set: Uint8Array;
  readonly updates: readonly Uint8Array[];
  readonly openedAtMs: number;
  readonly ledgerHeads: readonly { readonly custodian: string; readonly head: Uint8Array }[];
}

/** A round that ends without an average. */
export interface UnopenedRound {
  readonly plan: Uint8Array;
  /** The set that could not be opened, where there was one. */
  readonly set?: Uint8Array;
  readonly reason: string;
}

export type RoundOutcome =
  | ({ readonly outcome: 'opened' } & OpenedRound)
  | ({ readonly outcome: 'none' } & UnopenedRound);

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

function damaged(path: string, cause: unknown): FormatError {
  return new FormatError('owner.record-malformed', `${path} is damaged. Restore it from a backup.`, {
    cause,
  });
}

export class RoundRecords {
  readonly #rounds: string;

  /** @param directory the owner's */
  constructor(directory: string) {
    this.#rounds = join(directory, 'rounds');
  }

  #path(plan: Uint8Array, extension: string): string {
    return join(this.#rounds, `${toHex(plan)}${extension}`);
  }

  /** Creates a record, on the disk when this returns; false where there is one already. */
  async #create(path: string, data: string | Uint8Array): Promise<boolean> {
    // Which updates were opened is for the owner alone, as its keys beside it are.
    await mkdir(this.#rounds, { recursive: true, mode: 0o700 });
    try {
      await replaceFile(path, data, { mode: 0o600, exclusive: true });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }

  /** What the round came to, if it has ended. @throws FormatError `owner.record-malformed` */
  async outcome(plan: Uint8Array): Promise<RoundOutcome | undefined> {
    const path = this.#path(plan, OUTCOME);
    const bytes = await readIfThere(path);
    if (bytes === undefined) return undefined;
    let parsed: z.infer<typeof outcomeSchema>;
    try {
      parsed = outcomeSchema.parse(JSON.parse(bytes.toString('utf8')));
    } catch (cause) {
      throw damaged(path, cause);
    }
    if (parsed.outcome === 'none') {
      const { set, reason } = parsed;
      return {
        outcome: 'none',
        plan: fromHex(parsed.plan),
        reason,
        ...(set !== undefined && { set: fromHex(set) }),
      };
    }
    return {
      outcome: 'opened',
      plan: fromHex(parsed.plan),
      set: fromHex(parsed.set),
      updates: parsed.updates.map(fromHex),
      openedAtMs: parsed.openedAtMs,
      ledgerHeads: parsed.ledgerHeads.map(({ custodian, head }) => ({ custodian, head: fromHex(head) })),
    };
  }

  /**
   * Refuses a set that the round may not be opened with any more.
   *
   * @throws RefusedError `open.another-set`, `open.round-closed`
   */
  async requireOpenable(plan: Uint8Array, set: Uint8Array): Promise<void> {
    const outcome = await this.outcome(plan);
    if (outcome === undefined) return;
    if (outcome.outcome === 'none') {
      throw new RefusedError(
        'open.round-closed',
        'The round was closed with none opened; its clients may have sealed their deltas again. Opening it now could ' +
          'give one of them away.',
      );
    }
    if (Buffer.compare(outcome.set, set) !== 0) {
      throw new RefusedError(
        'open.another-set',
        'Another set of updates was opened under this plan. Two averages that differ by one client give that client ' +
          'away: a round opens one set.',
      );
    }
  }

  /**
   * Records that a set was opened; on the disk when this returns. The same set again is fine.
   *
   * @throws RefusedError `open.another-set`, `open.round-closed`
   */
  async recordOpened(round: OpenedRound): Promise<void> {
    const document = {
      format: 'tensorguard-native round outcome',
      outcome: 'opened',
      plan: toHex(round.plan),
      set: toHex(round.set),
      updates: round.updates.map(toHex),
      openedAtMs: round.openedAtMs,
      ledgerHeads: round.ledgerHeads.map(({ custodian, head }) => ({ custodian, head: toHex(head) })),
    };
    const created = await this.#create(
      this.#path(round.plan, OUTCOME),
      `${JSON.stringify(document, null, 2)}\n`,
    );
    if (!created) await this.requireOpenable(round.plan, round.set);
  }

  /** Ends a round that was not opened: the outcome that stands, which is the earlier one where there was one. */
  async endUnopened(round: UnopenedRound): Promise<RoundOutcome> {
    const document = {
      format: 'tensorguard-native round outcome',
      outcome: 'none',
      plan: toHex(round.plan),
      ...(round.set !== undefined && { set: toHex(round.set) }),
      reason: round.reason,
    };
    const created = await this.#create(
      this.#path(round.plan, OUTCOME),
      `${JSON.stringify(document, null, 2)}\n`,
    );
    const earlier = created ? undefined : await this.outcome(round.plan);
    return earlier ?? { outcome: 'none', ...round };
  }

  /** Records that a custodian goes on from another ledger; the newest counts. */
  async recordLedgerStart({ custodian, head, atMs }: LedgerStart): Promise<void> {
    await mkdir(this.#rounds, { recursive: true, mode: 0o700 });
    const document = { format: 'tensorguard-native ledger start', custodian, head: toHex(head), atMs };
    const path = join(this.#rounds, `${custodian}${LEDGER_START}`);
    await replaceFile(path, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
  }

  async #ledgerStart(name: string): Promise<LedgerStart> {
    const path = join(this.#rounds, name);
    try {
      const parsed = ledgerStartSchema.parse(JSON.parse(await readFile(path, 'utf8')));
      return { custodian: parsed.custodian, head: fromHex(parsed.head), atMs: parsed.atMs };
    } catch (cause) {
      throw damaged(path, cause);
    }
  }

  /** The newest ledger head that was seen of each custodian: what the next plan lists. */
  async ledgerHeads(): Promise<{ custodian: string; head: Uint8Array }[]> {
    const names = await readdir(this.#rounds).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const newest = new Map<string, { openedAtMs: number; head: Uint8Array }>();
    for (const name of names.filter((entry) => entry.endsWith(LEDGER_START))) {
      const { custodian, head, atMs } = await this.#ledgerStart(name);
      newest.set(custodian, { openedAtMs: atMs, head });
    }
    for (const name of names.filter((entry) => entry.endsWith(OUTCOME))) {
      const round = await this.outcome(fromHex(name.slice(0, -OUTCOME.length)));
      if (round?.outcome !== 'opened') continue;
      for (const { custodian, head } of round.ledgerHeads) {
        if (round.openedAtMs >= (newest.get(custodian)?.openedAtMs ?? 0)) {
          newest.set(custodian, { openedAtMs: round.openedAtMs, head });
        }
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
    const created = await this.#create(this.#path(plan, '.tgc'), record);
    return (created ? undefined : await this.closed(plan)) ?? record;
  }
}
