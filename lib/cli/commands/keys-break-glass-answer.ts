import type { Command } from 'commander';
import type { OfficerShare } from '../../custody/break-glass/officer-shares.js';
import { readShareFile } from '../../custody/break-glass/share-files.js';
import { answerRound } from '../../custody/custodian.js';
import { openCustodian } from '../../custody/custodian-directory.js';
import { breakGlass } from '../../custody/keys/break-glass.js';
import { kemName } from '../../custody/keys/key-store.js';
import { rotate } from '../../custody/keys/rotation.js';
import { readPlanToServe } from '../../custody/role-plan.js';
import { pinnedOwner } from '../../custody/roster-pin.js';
import { RefusedError } from '../../errors.js';
import { replaceFile } from '../../files.js';
import { openContainer } from '../../package/reader.js';
import { writeEnrolment } from '../../round/enrolment/set-up-member.js';
import type { Output } from '../output.js';

interface AnswerOptions {
  readonly plan: string;
  readonly custodian: string;
  readonly key: string;
  readonly reason: string;
  readonly shares: string[];
  readonly out: string;
}

async function withShares<T>(
  paths: readonly string[],
  work: (shares: readonly OfficerShare[]) => Promise<T>,
): Promise<T> {
  const shares: OfficerShare[] = [];
  try {
    for (const path of paths) shares.push(await readShareFile(path));
    return await work(shares);
  } finally {
    for (const { share } of shares) share.wipe();
  }
}

export function keysBreakGlassAnswerCommand(command: Command, output: () => Output): Command {
  return command
    .description('officers unlock one key for one round, and the custodian answers for it')
    .argument('<aggregate>', 'the aggregate (.tga)')
    .requiredOption('--plan <file>', "the round's plan (.tgp)")
    .requiredOption('--custodian <dir>', "the custodian's directory")
    .requiredOption('--key <name>', 'the key to unlock, as "keys list" shows it')
    .requiredOption('--reason <text>', 'why, for the audit trail')
    .requiredOption('--shares <files...>', "officers' shares, at least the threshold")
    .requiredOption('--out <file>', 'the answer to write (.tgs)')
    .action(async (aggregatePath: string, options: AnswerOptions) => {
      const out = output();
      const { custodian, role, close } = await openCustodian(options.custodian);
      try {
        const plan = await readPlanToServe(options.custodian, options.plan, role.roster);
        const aggregate = await openContainer(aggregatePath, 'aggregate');
        try {
          const { answer, replayed, contributors } = await withShares(options.shares, (shares) =>
            answerRound(
              {
                ...custodian,
                epochKey: async (epoch) => {
                  if (options.key !== kemName(epoch)) {
                    throw new RefusedError(
                      'break-glass.other-key',
                      `The round needs key "${kemName(epoch)}"; "${options.key}" was named. Name the one that it needs.`,
                    );
                  }
                  const { fleet, policy, cohort, round } = plan.body;
                  return breakGlass(role.store, {
                    key: options.key,
                    round: { fleet, policy, cohort, round },
                    plan: plan.fingerprint,
                    reason: options.reason,
                    shares,
                  });
                },
              },
              plan,
              aggregate,
            ),
          );
          await replaceFile(options.out, answer);
          const { key } = await rotate(role.store);
          await writeEnrolment(role.store, { ownerKeyId: await pinnedOwner(options.custodian) });
          out.warn(
            `Key "${options.key}" is compromised from now on. ${key.name} is made: bring the enrolment to the owner. An officer ` +
              'has to close this use: "keys break-glass close".',
          );
          out.result(
            { written: options.out, custodian: custodian.id, contributors, replayed, rotatedTo: key.name },
            [
              `"${custodian.id}" answered for the sum of ${contributors} updates in ${options.out}, by break-glass.`,
            ],
          );
        } finally {
          await aggregate.close();
        }
      } finally {
        close();
      }
    });
}
