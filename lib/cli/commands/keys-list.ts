import type { Command } from 'commander';
import { openKeyStore } from '../../custody/role-directory.js';
import { breakGlassLines, keyDocument, keyLine } from '../key-lines.js';
import type { Output } from '../output.js';

export function keysListCommand(command: Command, output: () => Output): Command {
  return command
    .description('list the keys of a role: states, epochs, what wraps them')
    .requiredOption('--role <dir>', "the role's directory")
    .action(async ({ role }: { readonly role: string }) => {
      const store = await openKeyStore(role);
      try {
        const keys = store.keys();
        output().result({ role: store.role, id: store.id, fleet: store.fleet, keys: keys.map(keyDocument) }, [
          ...breakGlassLines(store),
          ...keys.map(keyLine),
        ]);
      } finally {
        store.close();
      }
    });
}
