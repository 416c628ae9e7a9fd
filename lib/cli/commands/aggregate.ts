import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { openRole } from '../../custody/role-directory.js';
import { readPlanToServe } from '../../custody/role-plan.js';
import { EnvironmentError } from '../../errors.js';
import { aggregateUpdates } from '../../round/aggregate.js';
import { readRolePolicy } from '../../round/role-policy.js';
import type { Output } from '../output.js';
import { type PolicyOptions, policyOptions, policyOverrides } from '../policy-options.js';

interface AggregateCommandOptions extends PolicyOptions {
  readonly plan: string;
  readonly aggregator: string;
  readonly strict?: boolean;
  readonly out: string;
}

/** The files named, and every `.tgu` of the directories named, without listing a directory in memory. */
async function* updatePaths(sources: readonly string[]): AsyncGenerator<string> {
  for (const source of sources) {
    const status = await stat(source).catch((cause: unknown) => {
      throw new EnvironmentError('aggregate.no-such-source', `${source} cannot be read. Check the path.`, {
        cause,
      });
    });
    if (!status.isDirectory()) {
      yield source;
      continue;
    }
    for await (const entry of await opendir(source)) {
      if (entry.name.endsWith('.tgu') && !entry.name.startsWith('.')) yield join(source, entry.name);
    }
  }
}

export function aggregateCommand(command: Command, output: () => Output): Command {
  return policyOptions(command)
    .description('sum updates without reading any: what must be refused is left out, with its reason')
    .argument('<updates...>', 'update files (.tgu), or directories of them')
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
        updates: updatePaths(sources),
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
