import type { Command } from 'commander';
import { openReleaseState } from '../../custody/release/release-state.js';
import { openRole } from '../../custody/role-directory.js';
import { kemWithDigest } from '../../round/release/client-kem.js';
import { openRelease } from '../../round/release/open-release.js';
import { readRolePolicy } from '../../round/role-policy.js';
import type { Output } from '../output.js';

interface ReleaseOpenOptions {
  readonly client: string;
  readonly policy?: string;
  readonly out: string;
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
