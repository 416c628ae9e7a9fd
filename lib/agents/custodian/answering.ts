/** Answering for one set: everything is downloaded first, so that a key is unlocked for moments only. */
import { join } from 'node:path';
import { answerFiles } from '../../custody/answer-files.js';
import type { CustodianAnswer } from '../../custody/custodian.js';
import { openCustodian } from '../../custody/custodian-directory.js';
import { hex } from '../../custody/fields.js';
import { VerificationError } from '../../errors.js';
import type { AgentDirectory } from '../agent-directory.js';
import type { FleetApi } from '../api/fleet-api.js';
import type { ItemOf } from '../api/work-items.js';

/** What the custodian itself made of it: the connection's failures are thrown instead. */
export type Verdict = { readonly answer: CustodianAnswer } | { readonly refusal: unknown };

/**
 * @throws what the API throws
 */
export async function answerFor(
  { plan, aggregate: expected }: ItemOf<'answer'>,
  custodianDirectory: string,
  api: Pick<FleetApi, 'plan' | 'downloadAggregate'>,
  directory: AgentDirectory,
): Promise<Verdict> {
  return directory.withTemporary(async (temporary) => {
    const planFile = await api.plan(plan);
    const aggregateFile = join(temporary, 'aggregate.tga');
    await api.downloadAggregate(plan, aggregateFile);
    try {
      return { answer: await answer(custodianDirectory, plan, planFile, expected, aggregateFile) };
    } catch (refusal) {
      return { refusal };
    }
  });
}

async function answer(
  custodianDirectory: string,
  planHex: string,
  planFile: Uint8Array,
  expected: string,
  aggregateFile: string,
): Promise<CustodianAnswer> {
  const opened = await openCustodian(custodianDirectory);
  try {
    return await answerFiles(opened, {
      plan: planFile,
      aggregate: aggregateFile,
      check: ({ plan, aggregate }) => {
        if (hex(plan) === planHex && hex(aggregate) === expected) return;
        throw new VerificationError(
          'agent.wrong-file',
          `The service gave another plan or aggregate than it asks an answer for (plan ${planHex}). Nothing was answered.`,
        );
      },
    });
  } finally {
    opened.close();
  }
}
