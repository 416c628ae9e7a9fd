import type { Command } from 'commander';
import { hex } from '../../custody/fields.js';
import { openBreakGlasses } from '../../custody/keys/break-glass.js';
import { rotationState } from '../../custody/keys/rotation.js';
import { openKeyStore } from '../../custody/role-directory.js';
import { readRolePolicy } from '../../round/role-policy.js';
import { breakGlassLines, keyDocument, keyLine } from '../key-lines.js';
import type { Output } from '../output.js';

export function keysStatusCommand(command: Command, output: () => Output): Command {
  return command
    .description('what needs attention: open break-glass, rotation, the audit trail')
    .requiredOption('--role <dir>', "the role's directory")
    .action(async ({ role }: { readonly role: string }) => {
      const { policy } = await readRolePolicy(role);
      const store = await openKeyStore(role);
      try {
        const keys = store.keys();
        const rotation =
          store.newestKem() === undefined
            ? undefined
            : rotationState(store, policy.encryption.keyRotationHours);
        const verdict = await store.verifyAudit();
        const unwrapped = keys.some(
          ({ state, wrapperId }) => wrapperId.startsWith('none') && state !== 'destroyed',
        );
        output().result(
          {
            role: store.role,
            id: store.id,
            fleet: store.fleet,
            breakGlass: openBreakGlasses(store),
            keys: keys.map(keyDocument),
            rotation: rotation && {
              key: rotation.newest.name,
              due: new Date(rotation.dueAtMs).toISOString(),
              isDue: rotation.dueAtMs <= Date.now(),
              pending: rotation.pending,
            },
            audit: { entries: verdict.entries, head: hex(verdict.head), bad: verdict.bad ?? null },
            epochFloor: store.epochFloor,
          },
          [
            ...breakGlassLines(store),
            ...(verdict.bad === undefined
              ? []
              : [`AUDIT TRAIL NOT WHOLE: entry ${verdict.bad.sequence}: ${verdict.bad.reason}`]),
            `${store.role} "${store.id}" of fleet "${store.fleet}"`,
            ...keys.map(keyLine),
            ...(rotation === undefined
              ? []
              : [
                  rotation.pending
                    ? `${rotation.newest.name} waits for a roster that lists it.`
                    : `Rotation of ${rotation.newest.name} is due ${new Date(rotation.dueAtMs).toISOString()}.`,
                ]),
            `Audit trail: ${verdict.entries} entries, head ${hex(verdict.head)}`,
            ...(unwrapped ? ['Keys rest unwrapped: whoever copies the disk has them ("keys rewrap").'] : []),
          ],
        );
      } finally {
        store.close();
      }
    });
}
