import type { Command } from 'commander';
import { readPlanToFinish } from '../../custody/role-plan.js';
import { replaceFile } from '../../files.js';
import { closeRound } from '../../round/close-round.js';
import { openOwner } from '../../round/owner-directory.js';
import type { Output } from '../output.js';

interface CloseCommandOptions {
  readonly plan: string;
  readonly owner: string;
  readonly reason?: string;
  readonly out: string;
}

export function closeCommand(command: Command, output: () => Output): Command {
  return command
    .description('end a round with a signed record of what was opened, or of why nothing was')
    .argument('[aggregate]', 'the aggregate (.tga) that the round came to, if any')
    .requiredOption('--plan <file>', "the round's plan (.tgp)")
    .requiredOption('--owner <dir>', "the owner's directory")
    .option('--reason <text>', 'why nothing was opened')
    .requiredOption('--out <file>', 'the close record to write (.tgc)')
    .action(async (aggregate: string | undefined, options: CloseCommandOptions) => {
      const { owner, role } = await openOwner(options.owner);
      const { record, body } = await readPlanToFinish(options.owner, options.plan, role.roster)
        .then((plan) => closeRound(owner, plan, aggregate, options.reason))
        .finally(() => role.close());
      await replaceFile(options.out, record);
      output().result(
        {
          written: options.out,
          opened: body.opened,
          ...(body.reason !== undefined && { reason: body.reason }),
        },
        [
          body.opened.length > 0
            ? `Closed round ${body.round}: ${body.opened.length} updates were opened.`
            : `Closed round ${body.round} with none opened: ${body.reason}.`,
          `Wrote ${options.out}.`,
        ],
      );
    });
}
