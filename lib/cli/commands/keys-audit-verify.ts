import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { hex } from '../../custody/fields.js';
import { type SignedHead, signedHeadSchema } from '../../custody/keys/audit-trail.js';
import { requireWhole } from '../../custody/keys/audit-verification.js';
import { openKeyStore } from '../../custody/role-directory.js';
import { EnvironmentError, FormatError } from '../../errors.js';
import type { Output } from '../output.js';

async function readHead(path: string): Promise<SignedHead> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new EnvironmentError('audit.head-unreadable', `${path} cannot be read. Check the path.`, { cause });
  });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    document = undefined;
  }
  const parsed = signedHeadSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  throw new FormatError('audit.head-malformed', `${path} is no head that "keys audit head" wrote.`);
}

export function keysAuditVerifyCommand(command: Command, output: () => Output): Command {
  return command
    .description('check the audit trail: edits, deletions, reorder, and against exported heads, truncation')
    .requiredOption('--role <dir>', "the role's directory")
    .option('--head <files...>', 'heads that were exported earlier, and kept elsewhere')
    .action(async ({ role, head = [] }: { readonly role: string; readonly head?: string[] }) => {
      const heads = await Promise.all(head.map(readHead));
      const store = await openKeyStore(role);
      try {
        const verdict = await store.verifyAudit(heads);
        requireWhole(verdict);
        output().result({ entries: verdict.entries, head: hex(verdict.head), heads: heads.length }, [
          `${verdict.entries} entries, all there, all signed; head ${hex(verdict.head)}.`,
          heads.length > 0
            ? `It reaches the ${heads.length === 1 ? 'head' : `${heads.length} heads`} given.`
            : 'Whether its end was cut off shows only against a head that was exported earlier (--head).',
        ]);
      } finally {
        store.close();
      }
    });
}
