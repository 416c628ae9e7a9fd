import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { readPlanToFinish } from '../../custody/role-plan.js';
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { EnvironmentError, UsageError } from '../../errors.js';
import { openOwner } from '../../round/owner-directory.js';
import { createRelease } from '../../round/release/create-release.js';
import { activeRecipients } from '../../round/release/recipients.js';
import { ReleaseRecords } from '../../round/release/release-records.js';
import { readFleetFile } from '../fleet-file.js';
import { integerOption } from '../options.js';
import { formatBytes, type Output } from '../output.js';

interface ReleaseCreateOptions {
  readonly owner: string;
  readonly policy?: string;
  readonly plan?: string;
  readonly rollbackTo?: number;
  readonly note?: string;
  readonly out: string;
}

/** The one that is named, the plan's, or what rounds of the fleet beside the owner's directory are planned for. */
async function policyName(options: ReleaseCreateOptions, plan: TrustedPlan | undefined): Promise<string> {
  const named = options.policy ?? plan?.body.policy;
  if (named !== undefined) return named;
  try {
    return (await readFleetFile(dirname(resolve(options.owner)))).preset;
  } catch (error) {
    if (error instanceof EnvironmentError && error.code === 'fleet.not-a-fleet') {
      throw new UsageError(
        'usage.policy',
        'Name the policy with --policy NAME, or give the --plan of its round.',
      );
    }
    throw error;
  }
}

export function releaseCreateCommand(command: Command, output: () => Output): Command {
  return command
    .description('encrypt an adapter to every active client of the fleet, under the next counter')
    .argument('<adapter>', 'the adapter directory to release')
    .requiredOption('--owner <dir>', "the owner's directory")
    .option('--policy <name>', "the policy it is for (default: the plan's, or the fleet's)")
    .option('--plan <file>', 'the plan (.tgp) of the round that it came from')
    .option(
      '--rollback-to <counter>',
      'go back to the adapter of this earlier release, and withdraw those since',
      integerOption(1, 2 ** 32 - 1),
    )
    .option('--note <text>', 'a line for people')
    .requiredOption('--out <file>', 'the release to write (.tgr)')
    .action(async (adapter: string, options: ReleaseCreateOptions) => {
      const { owner, role } = await openOwner(options.owner);
      try {
        const plan =
          options.plan === undefined
            ? undefined
            : await readPlanToFinish(options.owner, options.plan, role.roster);
        const { body, fingerprint, kept, sizeBytes } = await createRelease({
          signing: owner.signing,
          records: new ReleaseRecords(options.owner),
          roster: role.roster,
          policy: await policyName(options, plan),
          adapter,
          recipients: await activeRecipients(options.owner, role.roster),
          peftTypes: owner.policy.envelope.peftTypes,
          plan,
          rollbackTo: options.rollbackTo,
          note: options.note,
          out: options.out,
        });
        const { counter, policy, adapterFingerprint, rollback } = body;
        output().result(
          {
            written: options.out,
            kept,
            fingerprint,
            policy,
            counter,
            adapterFingerprint,
            recipients: body.recipients.map(({ client }) => client),
            ...(rollback !== undefined && { rollback }),
            sizeBytes,
          },
          [
            `Release ${counter} of policy "${policy}" for ${body.recipients.length} clients, ${formatBytes(sizeBytes)}.`,
            ...(rollback === undefined
              ? []
              : [
                  `It goes back to release ${rollback.to}; ${rollback.withdrawn.length} adapters are withdrawn.`,
                ]),
            `Wrote ${options.out}.`,
          ],
        );
      } finally {
        role.close();
      }
    });
}
