import type { Command } from 'commander';
import { openRole } from '../../custody/role-directory.js';
import { readPlanToServe } from '../../custody/role-plan.js';
import { sumAtGateway } from '../../round/gateway-sum.js';
import { readRolePolicy } from '../../round/role-policy.js';
import type { Output } from '../output.js';
import { type PolicyOptions, policyOptions, policyOverrides } from '../policy-options.js';
import { filesOf } from '../source-files.js';

interface GatewaySumCommandOptions extends PolicyOptions {
  readonly plan: string;
  readonly gateway: string;
  readonly strict?: boolean;
  readonly out: string;
}

export function gatewaySumCommand(command: Command, output: () => Output): Command {
  return policyOptions(command)
    .description("sum a site's updates into one partial sum; what must be refused is left out")
    .argument('<updates...>', 'update files (.tgu), or directories of them')
    .requiredOption('--plan <file>', "the round's plan (.tgp)")
    .requiredOption('--gateway <dir>', "this gateway's directory")
    .option('--strict', 'fail at the first update that must be refused')
    .requiredOption('--out <file>', 'the partial sum to write (.tgg)')
    .action(async (sources: string[], options: GatewaySumCommandOptions) => {
      const { policy } = await readRolePolicy(options.gateway, {
        file: options.policy,
        overrides: policyOverrides(options),
      });
      const role = await openRole(options.gateway, 'gateway');
      const { id, signing, roster } = role;
      role.close();
      const plan = await readPlanToServe(options.gateway, options.plan, roster);
      const { contributors, ...summed } = await sumAtGateway({
        ...{ plan, policy, gatewayId: id, signing, out: options.out },
        updates: filesOf(sources, ['.tgu']),
        ...(options.strict !== undefined && { strict: options.strict }),
      });
      const { refused } = summed;
      output().result({ written: options.out, accepted: contributors.length, ...summed }, [
        `Summed ${contributors.length} updates into ${options.out}${refused.length > 0 ? `, ${refused.length} refused:` : '.'}`,
        ...refused.map(({ source, code, message }) => `  ${source}: ${code}: ${message}`),
      ]);
    });
}
