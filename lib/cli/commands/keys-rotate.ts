import { join } from 'node:path';
import type { Command } from 'commander';
import type { KeyStore } from '../../custody/keys/key-store.js';
import { rotate, rotationState } from '../../custody/keys/rotation.js';
import { openKeyStore, openRole } from '../../custody/role-directory.js';
import { pinnedOwner } from '../../custody/roster-pin.js';
import { RefusedError } from '../../errors.js';
import { ENROLMENT_FILE } from '../../round/enrolment/requests.js';
import { writeEnrolment } from '../../round/enrolment/set-up-member.js';
import { readRolePolicy } from '../../round/role-policy.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';

interface RotateOptions {
  readonly role: string;
  readonly ifDue?: boolean;
  readonly everyHours?: number;
  readonly epoch?: number;
}

async function everyHours({ role, everyHours: given }: RotateOptions): Promise<number> {
  return given ?? (await readRolePolicy(role)).policy.encryption.keyRotationHours;
}

export function keysRotateCommand(command: Command, output: () => Output): Command {
  return command
    .description('make the KEM key of the next epoch, and the request to enrol it')
    .requiredOption('--role <dir>', "the role's directory (a custodian's or a client's)")
    .option('--if-due', 'only if the newest key has had its time; for a timer')
    .option(
      '--every-hours <h>',
      "the time of a key (default: encryption.keyRotationHours of the role's policy)",
      integerOption(1, 8760),
    )
    .option(
      '--epoch <n>',
      'of this epoch at least: where another custodian had to leave one out',
      integerOption(1, 2 ** 32 - 1),
    )
    .action(async (options: RotateOptions) => {
      const store = await openOwnKeys(options.role);
      try {
        requireEnrollable(store);
        const { dueAtMs, newest, pending } = rotationState(store, await everyHours(options));
        const due = new Date(dueAtMs).toISOString();
        if (options.ifDue === true && options.epoch === undefined && !pending && dueAtMs > Date.now()) {
          output().result({ made: false, key: newest.name, due }, [`Not due: ${newest.name} until ${due}.`]);
          return;
        }
        const { key, made } = await rotate(store, options.epoch);
        await writeEnrolment(store, { ownerKeyId: await pinnedOwner(options.role) });
        const enrolment = join(options.role, ENROLMENT_FILE);
        output().result({ made, key: key.name, epoch: key.epoch, state: key.state, enrolment }, [
          made ? `Made ${key.name}.` : `${key.name} was made before, and waits for a roster that lists it.`,
          `Bring ${enrolment} to the owner: "fleet enroll".`,
        ]);
      } finally {
        store.close();
      }
    });
}

/** No enrolment carries an owner's next key into a roster: made all the same, it would wait for one for ever. */
function requireEnrollable({ role, directory }: KeyStore): void {
  if (role !== 'owner') return;
  throw new RefusedError(
    'key.not-rotated',
    `The KEM key in ${directory} is the owner's, which a roster replaces: "fleet enroll --rotate-owner-key".`,
  );
}

/** The role's keys, brought into the states that its newest roster gives them first, where it has one. */
async function openOwnKeys(directory: string): Promise<KeyStore> {
  const store = await openKeyStore(directory);
  if ((await pinnedOwner(directory)) === undefined) return store;
  const { role } = store;
  store.close();
  return (await openRole(directory, role)).store;
}
