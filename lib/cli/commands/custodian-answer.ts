import { join } from 'node:path';
import type { Command } from 'commander';
import { answerRound } from '../../custody/custodian.js';
import { openLedger } from '../../custody/ledger.js';
import { LEDGER_FILE, openRole } from '../../custody/role-directory.js';
import { readTrustedPlan } from '../../custody/trusted-plan.js';
import { replaceFile } from '../../files.js';
import { openContainer } from '../../package/reader.js';
import type { Output } from '../output.js';

interface AnswerCommandOptions {
  readonly plan: string;
  readonly custodian: string;
  readonly out: string;
}

export function custodianAnswerCommand(command: Command, output: () => Output): Command {
  return command
    .description("answer for an aggregate with the sum of this custodian's shares, once a round")
    .argument('<aggregate>', 'the aggregate (.tga)')
    .requiredOption('--plan <file>', "the round's plan (.tgp)")
    .requiredOption('--custodian <dir>', "this custodian's directory")
    .requiredOption('--out <file>', 'the answer to write (.tgs)')
    .action(async (aggregatePath: string, options: AnswerCommandOptions) => {
      const { keys, signing, roster } = await openRole(options.custodian, 'custodian');
      const plan = await readTrustedPlan(options.plan, roster);
      const ledger = await openLedger(join(options.custodian, LEDGER_FILE));
      try {
        const aggregate = await openContainer(aggregatePath, 'aggregate');
        try {
          const { answer, replayed, contributors } = await answerRound(
            { id: keys.id, signing, kem: keys.kem, ledger },
            plan,
            aggregate,
          );
          await replaceFile(options.out, answer);
          output().result({ written: options.out, custodian: keys.id, contributors, replayed }, [
            `"${keys.id}" answered for the sum of ${contributors} updates in ${options.out}` +
              `${replayed ? ' (the answer that was given before).' : '.'}`,
          ]);
        } finally {
          await aggregate.close();
        }
      } finally {
        ledger.close();
      }
    });
}
