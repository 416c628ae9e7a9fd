import type { Command } from 'commander';
import { answerFiles } from '../../custody/answer-files.js';
import type { OfficerShare } from '../../custody/break-glass/officer-shares.js';
import { readShareFile } from '../../custody/break-glass/share-files.js';
import type { CustodianAnswer } from '../../custody/custodian.js';
import { openCustodian } from '../../custody/custodian-directory.js';
import { breakGlass } from '../../custody/keys/break-glass.js';
import { type KeyStore, kemName } from '../../custody/keys/key-store.js';
import { rotate } from '../../custody/keys/rotation.js';
import { pinnedOwner } from '../../custody/roster-pin.js';
import type { SecretBytes } from '../../custody/secret-bytes.js';
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { RefusedError } from '../../errors.js';
import { replaceFile } from '../../files.js';
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

/** The key of the round's epoch, which has to be the one that was named. */
function unlock(
  store: KeyStore,
  { body, fingerprint }: TrustedPlan,
  { key, reason }: AnswerOptions,
  shares: readonly OfficerShare[],
): Promise<SecretBytes> {
  const epoch = body.keyEpoch;
  if (key !== kemName(epoch)) {
    throw new RefusedError(
      'break-glass.other-key',
      `The round needs key "${kemName(epoch)}"; "${key}" was named. Name the one that it needs.`,
    );
  }
  const { fleet, policy, cohort, round } = body;
  return breakGlass(store, {
    key,
    round: { fleet, policy, cohort, round },
    plan: fingerprint,
    reason,
    shares,
  });
}

/** @returns the name of the key that follows the one that was opened */
async function replaceKey(store: KeyStore, options: AnswerOptions, out: Output): Promise<string> {
  const { key } = await rotate(store);
  await writeEnrolment(store, { ownerKeyId: await pinnedOwner(options.custodian) });
  out.warn(
    `Key "${options.key}" is compromised from now on. ${key.name} is made: bring the enrolment to the owner. An officer ` +
      'has to close this use: "keys break-glass close".',
  );
  return key.name;
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
      const opened = await openCustodian(options.custodian);
      const { custodian, role } = opened;
      try {
        let unlocked = false;
        let rotatedTo: string | undefined;
        let answered: CustodianAnswer;
        try {
          answered = await withShares(options.shares, (shares) =>
            answerFiles(opened, {
              plan: options.plan,
              aggregate: aggregatePath,
              epochKey: async (plan) => {
                const secret = await unlock(role.store, plan, options, shares);
                unlocked = true;
                return secret;
              },
            }),
          );
          await replaceFile(options.out, answered.answer);
        } finally {
          // Whatever became of the answer: the key was out.
          if (unlocked) rotatedTo = await replaceKey(role.store, options, out);
        }
        const { replayed, contributors } = answered;
        out.result(
          {
            ...{ written: options.out, custodian: custodian.id, contributors, replayed },
            ...(rotatedTo !== undefined && { rotatedTo }),
          },
          [
            `"${custodian.id}" answered for the sum of ${contributors} updates in ${options.out}` +
              (replayed ? ' (the answer that was given before: no key was opened).' : ', by break-glass.'),
          ],
        );
      } finally {
        opened.close();
      }
    });
}
