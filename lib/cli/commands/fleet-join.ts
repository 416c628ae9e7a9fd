import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { joinFleet, type Standing } from '../../round/enrolment/join-fleet.js';
import { keyIdOption, OWNER_KEY_ID_OPTION } from '../member-options.js';
import type { Output } from '../output.js';

interface FleetJoinOptions {
  readonly roster: string;
  readonly ownerKeyId?: Uint8Array;
}

const STANDINGS: Readonly<Record<Standing, string>> = {
  active: 'It lists this machine as active.',
  listed: 'It lists this machine.',
  suspended: 'It lists this machine as suspended: its updates are refused until the owner lifts that.',
  revoked: 'It lists this machine as revoked: its updates are refused.',
  'not-listed': 'It does not list this machine yet: give its enrolment.tge to the owner.',
  'other-keys': 'It lists other keys for this machine: give its enrolment.tge to the owner.',
};

export function fleetJoinCommand(command: Command, output: () => Output): Command {
  return command
    .description('accept a roster that the owner issued')
    .argument('<directory>', "a role's directory")
    .requiredOption('--roster <file>', 'the roster (.tgo)')
    .option(...OWNER_KEY_ID_OPTION, keyIdOption)
    .action(async (directory: string, options: FleetJoinOptions) => {
      const out = output();
      const file = new Uint8Array(await readFile(options.roster));
      const joined = await joinFleet({ directory, file, ownerKeyId: options.ownerKeyId });
      const { body, fingerprint, ownerKeyId } = joined.roster;
      if (joined.ownerTrustedOnFirstUse) {
        out.warn(
          'Warning: nobody had told this machine whose rosters count, and this roster has decided it. Compare the ' +
            "owner's key id by a channel that you trust.",
        );
      }
      out.result(
        {
          ...{ directory, fleet: body.fleet, version: body.version, ownerKeyId },
          ...{ rosterFingerprint: fingerprint, standing: joined.standing },
        },
        [
          `Roster version ${body.version} of fleet "${body.fleet}" is in force here.`,
          `Owner's key id ${Buffer.from(ownerKeyId).toString('hex')}.`,
          STANDINGS[joined.standing],
        ],
      );
    });
}
