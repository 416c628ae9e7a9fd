import type { Command } from 'commander';
import { readShareFile } from '../../custody/break-glass/share-files.js';
import { closeBreakGlass } from '../../custody/keys/break-glass.js';
import { openKeyStore } from '../../custody/role-directory.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';

interface CloseOptions {
  readonly role: string;
  readonly use: number;
  readonly share: string;
  readonly note: string;
}

export function keysBreakGlassCloseCommand(command: Command, output: () => Output): Command {
  return command
    .description('an officer closes a use of break-glass')
    .requiredOption('--role <dir>', "the custodian's directory")
    .requiredOption('--use <entry>', 'its entry, as "keys status" shows it', integerOption(1, 2 ** 40))
    .requiredOption('--share <file>', "the officer's share, which proves that it is one")
    .requiredOption('--note <text>', 'what was found, for the audit trail')
    .action(async ({ role, use, share: path, note }: CloseOptions) => {
      const store = await openKeyStore(role, 'custodian');
      try {
        const share = await readShareFile(path);
        try {
          await closeBreakGlass(store, use, share, note);
        } finally {
          share.share.wipe();
        }
        output().result({ closed: use, officer: share.officer }, [
          `"${share.officer}" closed the use of break-glass with entry ${use}.`,
        ]);
      } finally {
        store.close();
      }
    });
}
