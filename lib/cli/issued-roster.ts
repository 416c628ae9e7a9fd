/** Issuing a roster from the command line: `fleet enroll` and `fleet revoke` differ in what they ask for. */
import { hex } from '../custody/fields.js';
import { followRoster } from '../custody/keys/follow-roster.js';
import { rotate } from '../custody/keys/rotation.js';
import { openRole } from '../custody/role-directory.js';
import type { TrustedRoster } from '../custody/roster.js';
import { replaceFile } from '../files.js';
import { type AskedChanges, type IssuedRoster, issueRoster } from '../round/enrolment/issue-roster.js';

export interface IssueCommandOptions {
  readonly owner: string;
  readonly out: string;
}

/** Issues a roster as the owner in `options.owner`, and writes it to `options.out`. */
export async function issueFromOptions(
  options: IssueCommandOptions,
  { rotateOwnerKey = false, ...changes }: AskedChanges & { readonly rotateOwnerKey?: boolean },
): Promise<{ readonly issued: IssuedRoster; readonly before: TrustedRoster }> {
  const role = await openRole(options.owner, 'owner');
  try {
    // One that waits, from a call that was interrupted, is taken up again.
    const ownerKem = rotateOwnerKey ? (await rotate(role.store)).key.publicKey : undefined;
    const issued = await issueRoster({
      ownerDirectory: options.owner,
      signing: role.signing,
      changes: { ...changes, ownerKem },
      accepting: ({ body: { version }, fingerprint }) =>
        role.store.record('roster', { version, fingerprint: hex(fingerprint) }),
    });
    await followRoster(role.store, issued);
    await replaceFile(options.out, issued.bytes);
    return { issued, before: role.roster };
  } finally {
    role.close();
  }
}

/** The part of the result that both commands have. */
export function issuedDocument({ owner: _, out }: IssueCommandOptions, issued: IssuedRoster) {
  return {
    written: out,
    version: issued.body.version,
    rosterFingerprint: issued.fingerprint,
    changed: issued.changed,
  };
}

export function issuedLines({ out }: IssueCommandOptions, issued: IssuedRoster): string[] {
  const { version } = issued.body;
  return [
    issued.changed
      ? `Roster version ${version} is in force. Distribute it ("fleet join"), then plan under it.`
      : `Nothing changed: roster version ${version} says so already.`,
    `Wrote ${out}.`,
  ];
}
