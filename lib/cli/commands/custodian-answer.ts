import type { Command } from 'commander';
import { answerFiles } from '../../custody/answer-files.js';
import { openCustodian } from '../../custody/custodian-directory.js';
import { replaceFile } from '../../files.js';
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
        const { answer, replayed, contributors } = await answerFiles(opened, {
          plan: options.plan,
          aggregate: aggregatePath,
        });
        await replaceFile(options.out, answer);
        out.result({ written: options.out, custodian: custodian.id, contributors, replayed }, [
          `"${custodian.id}" answered for the sum of ${contributors} updates in ${options.out}` +
            `${replayed ? ' (the answer that was given before).' : '.'}`,
        ]);
      } finally {
        opened.close();
      }
    });
}
