import type { Command } from 'commander';
import { openKeyStore } from '../../custody/role-directory.js';
import { replaceFile } from '../../files.js';
import type { Output } from '../output.js';

export function keysAuditHeadCommand(command: Command, output: () => Output): Command {
  return command
    .description('export where the audit trail stands, signed: keep it where this machine cannot write')
    .requiredOption('--role <dir>', "the role's directory")
    .requiredOption('--out <file>', 'the head to write (.json)')
    .action(async ({ role, out }: { readonly role: string; readonly out: string }) => {
      const store = await openKeyStore(role);
      try {
        const head = await store.exportAuditHead();
        await replaceFile(out, `${JSON.stringify(head, null, 2)}\n`);
        output().result({ written: out, entries: head.sequence, head: head.hash }, [
          `Wrote the head after ${head.sequence} entries to ${out}.`,
        ]);
      } finally {
        store.close();
      }
    });
}
