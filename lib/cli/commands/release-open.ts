import type { Command } from 'commander';
import { sameBytes } from '../../custody/fields.js';
import type { KeyStore } from '../../custody/keys/key-store.js';
import { openReleaseState } from '../../custody/release/release-state.js';
import { kemDigest } from '../../custody/release/wraps.js';
import { openRole } from '../../custody/role-directory.js';
import type { SecretBytes } from '../../custody/secret-bytes.js';
import { RefusedError } from '../../errors.js';
import { openRelease } from '../../round/release/open-release.js';
import { readRolePolicy } from '../../round/role-policy.js';
import type { Output } from '../output.js';

interface ReleaseOpenOptions {
  readonly client: string;
  readonly policy?: string;
  readonly out: string;
}

async function kemWithDigest(store: KeyStore, digest: Uint8Array, what: string): Promise<SecretBytes> {
  const key = store.keys().find(({ publicKey }) => publicKey && sameBytes(kemDigest(publicKey), digest));
  if (key !== undefined) return store.kem(key.name, what);
  throw new RefusedError(
    'release.unknown-key',
    `This is sealed to a key that client "${store.id}" does not hold: ${what}. It was enrolled with other keys than those in ` +
      `${store.directory}. Enrol it again, and ask the owner for the next release.`,
  );
}

export function releaseOpenCommand(command: Command, output: () => Output): Command {
  return command
    .description('verify and decrypt a release into an adapter directory, and never go back to an older one')
    .argument('<release>', 'the release (.tgr)')
    .requiredOption('--client <dir>', "the client's directory")
    .option('--policy <name>', 'the policy that it must be of, where the client follows several')
    .requiredOption('--out <adapter>', 'the adapter directory to write')
    .action(async (file: string, options: ReleaseOpenOptions) => {
      const { policy: settings } = await readRolePolicy(options.client);
      const role = await openRole(options.client, 'client');
      try {
        const state = await openReleaseState(options.client);
        try {
          const { body, fingerprint, again } = await openRelease({
            file,
            roster: role.roster,
            clientId: role.id,
            kemFor: (digest, what) => kemWithDigest(role.store, digest, what),
            state,
            policy: options.policy,
            peftTypes: settings.envelope.peftTypes,
            out: options.out,
          });
          const { counter, policy, adapterFingerprint, rollback, note } = body;
          output().result(
            {
              written: options.out,
              fingerprint,
              policy,
              counter,
              adapterFingerprint,
              again,
              ...(rollback !== undefined && { rollbackTo: rollback.to }),
              ...(note !== undefined && { note }),
            },
            [
              `${again ? 'Opened again' : 'Opened'} release ${counter} of policy "${policy}" into ${options.out}.`,
              ...(rollback === undefined ? [] : [`It goes back to release ${rollback.to}.`]),
              ...(note === undefined ? [] : [note]),
            ],
          );
        } finally {
          state.close();
        }
      } finally {
        role.close();
      }
    });
}
