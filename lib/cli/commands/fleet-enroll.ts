import type { Command } from 'commander';
import { keyIdOf } from '../../package/keys.js';
import type { RosterBody } from '../../package/messages/roster.js';
import { type IssueCommandOptions, issuedDocument, issuedLines, issueFromOptions } from '../issued-roster.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';

interface FleetEnrollOptions extends IssueCommandOptions {
  readonly replace: boolean;
  readonly threshold?: number;
  readonly oldestOpenEpoch?: number;
  readonly rotateOwnerKey: boolean;
}

/** How many custodians may lie: two groups that answer share at least 2t - n. */
function toleratedLiars({ threshold, custodians }: RosterBody): number {
  return 2 * threshold - custodians.length - 1;
}

function warnOfCustody(out: Output, before: RosterBody, after: RosterBody): void {
  const tolerated = toleratedLiars(after);
  if (tolerated >= toleratedLiars(before)) return;
  out.warn(
    `Warning: with ${after.threshold} of ${after.custodians.length} custodians, ` +
      (tolerated < 0
        ? 'two groups that share no custodian can each open a set.'
        : `${tolerated} of them may lie, where ${toleratedLiars(before)} could before. Raise --threshold.`),
  );
}

export function fleetEnrollCommand(command: Command, output: () => Output): Command {
  return command
    .description('issue the next roster: new members, new keys of members, the next epoch')
    .argument('[enrolments...]', 'what machines ask to be listed with (.tge)')
    .requiredOption('--owner <dir>', "the owner's directory")
    .option('--replace', 'members may have other keys than those that are listed', false)
    .option('--threshold <t>', 'custodians that must agree to open a round', integerOption(1, 255))
    .option(
      '--oldest-open-epoch <e>',
      'every round of an earlier epoch is closed: custodians destroy those keys',
      integerOption(1, 2 ** 32 - 1),
    )
    .option(
      '--rotate-owner-key',
      "answers are sealed to a new key of the owner's from the next plan on",
      false,
    )
    .requiredOption('--out <file>', 'the roster to write (.tgo)')
    .action(async (files: string[], options: FleetEnrollOptions) => {
      const out = output();
      const { replace, threshold, oldestOpenEpoch, rotateOwnerKey } = options;
      const { issued, before } = await issueFromOptions(options, {
        enrol: files.map((file) => ({ file, replace })),
        threshold,
        oldestOpenEpoch,
        rotateOwnerKey,
      });
      warnOfCustody(out, before.body, issued.body);
      const enrolled = issued.enrolled.map(({ body: { role, id, keys, epoch, restored } }) => ({
        ...{ role, id, keyId: keyIdOf(keys) },
        ...(epoch !== undefined && { epoch }),
        ...(restored === true && { restored }),
      }));
      out.result({ ...issuedDocument(options, issued), enrolled }, [
        ...enrolled.map(
          ({ role, id, keyId, restored }) =>
            `${role} "${id}"${restored === true ? ', restored from an archive' : ''}: key id ${Buffer.from(keyId).toString('hex')}. Compare it with what the machine printed.`,
        ),
        ...issuedLines(options, issued),
      ]);
    });
}
