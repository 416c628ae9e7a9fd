import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { hex } from '../../custody/fields.js';
import { type SignedHead, signedHeadSchema } from '../../custody/keys/audit-trail.js';
import { requireWhole } from '../../custody/keys/audit-verification.js';
import type { KeyStore } from '../../custody/keys/key-store.js';
import { openKeyStore, ROSTER_FILE } from '../../custody/role-directory.js';
import { readTrustedRoster, requireOwnKey } from '../../custody/roster.js';
import { openRosterPin, pinnedOwner } from '../../custody/roster-pin.js';
import { EnvironmentError, FormatError } from '../../errors.js';
import { listedIn } from '../../round/enrolment/join-fleet.js';
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

/**
 * A trail that was replaced as a whole, key and all, is consistent in itself. Where the machine has a roster, the keys that it
 * is verified with have to be the ones listed there.
 */
async function requireListedKeys(store: KeyStore): Promise<void> {
  if ((await pinnedOwner(store.directory)) === undefined) return;
  const pin = await openRosterPin(store.directory);
  try {
    const { body } = await readTrustedRoster(join(store.directory, ROSTER_FILE), pin);
    const listed = listedIn(body, store.role, store.id);
    if (listed !== undefined) requireOwnKey(listed.keys, store.publicKeys, `${store.role} "${store.id}"`);
  } finally {
    pin.close();
  }
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
        await requireListedKeys(store);
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
