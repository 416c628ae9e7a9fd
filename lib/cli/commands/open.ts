import type { Command } from 'commander';
import { readPlanToFinish } from '../../custody/role-plan.js';
import { openRound } from '../../round/open-round.js';
import { openOwner } from '../../round/owner-directory.js';
import type { Output } from '../output.js';
import { type PolicyOptions, policyOptions, policyOverrides } from '../policy-options.js';

interface OpenCommandOptions extends PolicyOptions {
  readonly plan: string;
  readonly owner: string;
  readonly answers: string[];
  readonly base?: string;
  readonly verify?: string[];
  readonly out: string;
}

/** Of a partial sum nobody but its gateway has seen the updates one by one. */
function vouching(gateways: readonly string[]): string {
  return gateways.length === 0 ? '' : `, with gateways vouching for theirs: ${gateways.join(', ')}`;
}

export function openCommand(command: Command, output: () => Output): Command {
  return policyOptions(command)
    .description("open an aggregate with the custodians' answers and write the average adapter")
    .argument('<aggregate>', 'the aggregate (.tga)')
    .requiredOption('--plan <file>', "the round's plan (.tgp)")
    .requiredOption('--owner <dir>', "the owner's directory")
    .requiredOption('--answers <files...>', "the custodians' answers (.tgs)")
    .option('--base <adapter>', 'add the average to this adapter')
    .option(
      '--verify <updates...>',
      'recompute the sum from the signed updates (.tgu) and partial sums (.tgg)',
    )
    .requiredOption('--out <adapter>', 'the adapter directory to write')
    .action(async (aggregate: string, options: OpenCommandOptions) => {
      const out = output();
      const { owner, role } = await openOwner(options.owner, {
        file: options.policy,
        overrides: policyOverrides(options),
      });
      const report = await readPlanToFinish(options.owner, options.plan, role.roster)
        .then((plan) =>
          openRound({
            owner,
            plan,
            aggregate,
            answers: options.answers,
            ...(options.base !== undefined && { base: options.base }),
            ...(options.verify !== undefined && { verify: options.verify }),
            out: options.out,
          }),
        )
        .finally(() => role.close());
      for (const custodian of report.disagreeing) {
        out.warn(
          `Warning: the answer of "${custodian}" does not fit the others: it answered wrongly, or a client dealt badly to it.`,
        );
      }
      out.result({ written: options.out, ...report }, [
        `Opened the average of ${report.contributors} clients with ${report.answers} answers into ${options.out}.`,
        report.verified
          ? `The sum was recomputed from the signed updates${vouching(report.gateways)}.`
          : 'Integrity against the aggregator was not checked: pass the updates with --verify for that.',
      ]);
    });
}
