/** Which snapshot went into which round: for as long as the round has no close record. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type AgentDirectory, readRecord, writeRecord } from '../agent-directory.js';
import { fingerprintSchema } from '../api/work-items.js';

const sentSchema = z.strictObject({
  plan: fingerprintSchema,
  update: fingerprintSchema,
  /** Name of the snapshot. */
  snapshot: z.string(),
  deadlineMs: z.int(),
});
export type SentUpdate = z.infer<typeof sentSchema>;

const NAME = /^[0-9a-f]{64}\.json$/;

export class SentUpdates {
  private constructor(private readonly directory: string) {}

  static async open(directory: AgentDirectory): Promise<SentUpdates> {
    return new SentUpdates(await directory.below('sent'));
  }

  async record(sent: SentUpdate): Promise<void> {
    await writeRecord(this.#path(sent.plan), sent);
  }

  find(plan: string): Promise<SentUpdate | undefined> {
    return readRecord(this.#path(plan), sentSchema);
  }

  async remove(plan: string): Promise<void> {
    await rm(this.#path(plan), { force: true });
  }

  async list(): Promise<SentUpdate[]> {
    const sent: SentUpdate[] = [];
    for (const name of (await readdir(this.directory)).filter((each) => NAME.test(each))) {
      const record = await readRecord(join(this.directory, name), sentSchema);
      if (record !== undefined) sent.push(record);
    }
    return sent;
  }

  #path(plan: string): string {
    return join(this.directory, `${plan}.json`);
  }
}
