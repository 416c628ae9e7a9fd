/** Whom the owner releases to. */
import type { TrustedRoster } from '../../custody/roster.js';
import { readEnrolledKem } from '../enrolment/enrolment-files.js';
import type { Recipient } from './create-release.js';

/**
 * The roster's active clients, each with the KEM key that it enrolled with.
 *
 * @param directory the owner's
 * @throws as `readEnrolledKem` does
 */
export async function activeRecipients(directory: string, roster: TrustedRoster): Promise<Recipient[]> {
  const recipients: Recipient[] = [];
  for (const { id, status } of roster.body.clients) {
    if (status === 'active')
      recipients.push({ client: id, kem: await readEnrolledKem(directory, roster, id) });
  }
  return recipients;
}
