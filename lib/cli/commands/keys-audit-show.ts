import type { Command } from 'commander';
import { hex } from '../../custody/fields.js';
import type { AuditEntry } from '../../custody/keys/audit-entry.js';
import { openKeyStore } from '../../custody/role-directory.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';

function document({ sequence, timeMs, kind, key, detail, hash }: AuditEntry): Record<string, unknown> {
  return { sequence, time: new Date(timeMs).toISOString(), kind, key: key ?? null, detail, hash: hex(hash) };
}

function line({ sequence, timeMs, kind, key, detail }: AuditEntry): string {
  const facts = Object.entries(detail).map(([name, value]) => `${name}=${shown(value)}`);
  return [sequence, new Date(timeMs).toISOString(), kind, ...(key === undefined ? [] : [key]), ...facts].join(
    '  ',
  );
}

/** In quotes where it could pass for more facts than one: reasons are anybody's text. */
function shown(value: string | number): string {
  return typeof value === 'number' || /^[\w.:/+-]+$/.test(value) ? String(value) : JSON.stringify(value);
}

export function keysAuditShowCommand(command: Command, output: () => Output): Command {
  return command
    .description('print the audit trail, oldest entry first')
    .requiredOption('--role <dir>', "the role's directory")
    .option('--after <sequence>', 'entries after this one', integerOption(0, Number.MAX_SAFE_INTEGER), 0)
    .action(async ({ role, after }: { readonly role: string; readonly after: number }) => {
      const store = await openKeyStore(role);
      try {
        const entries = store.vault.trail.entries(after);
        output().result({ entries: entries.map(document) }, entries.map(line));
      } finally {
        store.close();
      }
    });
}
