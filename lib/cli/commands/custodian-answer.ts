import type { Command } from 'commander';
import { answerRound } from '../../custody/custodian.js';
import { openCustodian } from '../../custody/custodian-directory.js';
import { readPlanToServe } from '../../custody/role-plan.js';
import { replaceFile } from '../../files.js';
import { openContainer } from '../../package/reader.js';
import { breakGlassLines } from '../key-lines.js';
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
      const opened = await openCustodian(options.custodian);
      const { custodian, role } = opened;
      const out = output();
      for (const line of breakGlassLines(role.store)) out.warn(line);
      try {
        const plan = await readPlanToServe(options.custodian, options.plan, role.roster);
        const aggregate = await openContainer(aggregatePath, 'aggregate');
        try {
          const { answer, replayed, contributors } = await answerRound(custodian, plan, aggregate);
          await replaceFile(options.out, answer);
          out.result({ written: options.out, custodian: custodian.id, contributors, replayed }, [
            `"${custodian.id}" answered for the sum of ${contributors} updates in ${options.out}` +
              `${replayed ? ' (the answer that was given before).' : '.'}`,
          ]);
        } finally {
          await aggregate.close();
        }
      } finally {
        opened.close();
      }
    });
}
