/** What the owner's agent remembers of each round: what it was planned as, and which adapters its opening is about. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { idSchema, roundSchema } from '../../package/messages/common.js';
import { type AgentDirectory, readRecord, writeRecord } from '../agent-directory.js';
import { fingerprintSchema } from '../api/work-items.js';

const recordSchema = z.strictObject({
  plan: fingerprintSchema,
  policy: idSchema,
  cohort: idSchema,
  round: roundSchema,
  /** Directory of the adapter that the average is added to; decided once, before the round is opened. */
  base: z.string().optional(),
  /** Directory of the average; once it is decided where it goes. */
  out: z.string().optional(),
});
export type OwnedRound = z.infer<typeof recordSchema>;

const NAME = /^[0-9a-f]{64}\.json$/;

export class OwnedRounds {
  private constructor(private readonly directory: string) {}

  static async open(directory: AgentDirectory): Promise<OwnedRounds> {
    return new OwnedRounds(await directory.below('rounds'));
  }

  async record(round: OwnedRound): Promise<void> {
    await writeRecord(this.#path(round.plan), round);
  }

  find(plan: string): Promise<OwnedRound | undefined> {
    return readRecord(this.#path(plan), recordSchema);
  }

  async list(): Promise<OwnedRound[]> {
    const rounds: OwnedRound[] = [];
    for (const name of (await readdir(this.directory)).filter((each) => NAME.test(each))) {
      const round = await readRecord(join(this.directory, name), recordSchema);
      if (round !== undefined) rounds.push(round);
    }
    return rounds;
  }

  #path(plan: string): string {
    return join(this.directory, `${plan}.json`);
  }
}
