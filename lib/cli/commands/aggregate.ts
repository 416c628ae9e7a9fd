import type { Command } from 'commander';
import { openRole } from '../../custody/role-directory.js';
import { readPlanToServe } from '../../custody/role-plan.js';
import { aggregateUpdates } from '../../round/aggregate.js';
import { readRolePolicy } from '../../round/role-policy.js';
import type { Output } from '../output.js';
import { type PolicyOptions, policyOptions, policyOverrides } from '../policy-options.js';
import { filesOf } from '../source-files.js';

interface AggregateCommandOptions extends PolicyOptions {
  readonly plan: string;
  readonly aggregator: string;
  readonly strict?: boolean;
  readonly out: string;
}

export function aggregateCommand(command: Command, output: () => Output): Command {
  return policyOptions(command)
    .description('sum updates without reading any: what must be refused is left out, with its reason')
    .argument('<updates...>', 'update files (.tgu), partial sums (.tgg), or directories of them')
    .requiredOption('--plan <file>', "the round's plan (.tgp)")
    .requiredOption('--aggregator <dir>', "this aggregator's directory")
    .option('--strict', 'fail at the first update that must be refused')
    .requiredOption('--out <file>', 'the aggregate to write (.tga)')
    .action(async (sources: string[], options: AggregateCommandOptions) => {
      const out = output();
      const { policy } = await readRolePolicy(options.aggregator, {
        file: options.policy,
        overrides: policyOverrides(options),
      });
      const role = await openRole(options.aggregator, 'aggregator');
      const { id, signing, roster } = role;
      role.close();
      const plan = await readPlanToServe(options.aggregator, options.plan, roster);
      const { fingerprint, sizeBytes, accepted, refused } = await aggregateUpdates({
        plan,
        policy,
        aggregatorId: id,
        signing,
        updates: filesOf(sources, ['.tgg', '.tgu']),
        out: options.out,
        ...(options.strict !== undefined && { strict: options.strict }),
        onProgress: (done) => out.progress(`${done} updates`),
      });
      out.result({ written: options.out, fingerprint, accepted, refused, sizeBytes }, [
        `Summed ${accepted} updates into ${options.out}${refused.length > 0 ? `, ${refused.length} refused:` : '.'}`,
        ...refused.map(({ source, code, message }) => `  ${source}: ${code}: ${message}`),
      ]);
    });
}
