/**
 * The owner's copies of its clients' enrolments, which releases take KEM keys from: a roster with them all would be many
 * megabytes that every robot fetches anew. An enrolment is signed with the keys that the roster lists, and so as good as if it
 * stood there.
 *
 * A file is named for the id and the key id: replacing a client's keys leaves the earlier file, and whichever roster stands
 * after a crash finds its own.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hex, sameBytes } from '../../custody/fields.js';
import { requireClient, type TrustedRoster } from '../../custody/roster.js';
import { createPrivateDirectory, errorCode } from '../../durable/private-files.js';
import { RefusedError } from '../../errors.js';
import { replaceFile } from '../../files.js';
import { keyIdOf, type PublicKeys } from '../../package/keys.js';
import type { EnrolmentBody } from '../../package/messages/enrolment.js';
import { openContainer } from '../../package/reader.js';
import { describeMember, type EnrolmentChange } from './membership.js';
import type { Enrolment } from './requests.js';

const DIRECTORY = 'enrolments';
const EXTENSION = '.tge';

/** Enough of a key id to tell a client's own keys apart; what the file says is verified against the whole. */
const KEY_ID_CHARACTERS = 16;

export function enrolmentPath(
  ownerDirectory: string,
  client: { readonly id: string; readonly keys: PublicKeys },
): string {
  const keyId = hex(keyIdOf(client.keys)).slice(0, KEY_ID_CHARACTERS);
  return join(ownerDirectory, DIRECTORY, `${client.id}.${keyId}${EXTENSION}`);
}

/** Keeps a client's enrolment, which the caller has verified; on the disk when this returns. */
export async function storeEnrolment(ownerDirectory: string, { body, file }: Enrolment): Promise<void> {
  if (body.role !== 'client') return;
  await createPrivateDirectory(join(ownerDirectory, DIRECTORY));
  await replaceFile(enrolmentPath(ownerDirectory, body), file, { mode: 0o600 });
}

/**
 * The X-Wing public key (1216 bytes) of an active client, from the enrolment that it signed with the keys that the roster
 * lists.
 *
 * @throws RefusedError `roster.unknown-client`, `roster.client-suspended`, `roster.client-revoked`; `enrolment.missing`,
 *   `enrolment.other-client`
 * @throws VerificationError, FormatError `container.*` where the file was changed
 */
export async function readEnrolledKem(
  ownerDirectory: string,
  roster: TrustedRoster,
  clientId: string,
): Promise<Uint8Array> {
  const client = requireClient(roster, clientId);
  const path = enrolmentPath(ownerDirectory, client);
  const container = await openContainer(path, 'enrolment').catch((cause: unknown) => {
    if (errorCode(cause) !== 'container.unreadable') throw cause;
    throw new RefusedError(
      'enrolment.missing',
      `There is no enrolment of client "${clientId}" at ${path}, and so no key to seal to. Enrol it again: "fleet enroll" ` +
        "with the client's enrolment.tge.",
      { cause },
    );
  });
  try {
    const { body } = container;
    await container.verify(client.keys, roster.body.signatureAlgorithms);
    if (body.role === 'client' && body.id === clientId && body.fleet === roster.body.fleet && body.kem) {
      return body.kem;
    }
    throw new RefusedError(
      'enrolment.other-client',
      `${path} is the enrolment of ${describeMember(body)} of fleet "${body.fleet}". Restore the file from a backup, or ` +
        'enrol the client again.',
    );
  } finally {
    await container.close();
  }
}

/** What every kept file says, unverified. */
async function keptEnrolments(ownerDirectory: string): Promise<EnrolmentBody[]> {
  const names = await readdir(join(ownerDirectory, DIRECTORY)).catch((error: unknown): string[] => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const bodies: EnrolmentBody[] = [];
  for (const name of names.filter((entry) => entry.endsWith(EXTENSION))) {
    const container = await openContainer(join(ownerDirectory, DIRECTORY, name), 'enrolment');
    bodies.push(container.body);
    await container.close();
  }
  return bodies;
}

/**
 * What a roster cannot tell of clients' KEM keys: none is another member's, the machine of a revoked client among them, or
 * what is sealed to one would be open to the other; and none changes by a file that somebody sent again.
 *
 * @throws RefusedError `enrolment.duplicate-key`, `enrolment.already-enrolled`; FormatError `container.*`
 */
export async function requireOwnKemKeys(
  ownerDirectory: string,
  enrol: readonly EnrolmentChange[],
): Promise<void> {
  const receiving = enrol.filter(({ enrolment }) => enrolment.kem !== undefined);
  if (receiving.length === 0) return;
  const kept = await keptEnrolments(ownerDirectory);
  const holders = new Map(kept.map((body) => [hex(body.kem ?? new Uint8Array()), body]));
  for (const { enrolment, replace } of receiving) {
    const { role, id, kem = new Uint8Array() } = enrolment;
    const holder = holders.get(hex(kem));
    if (holder !== undefined && (holder.id !== id || holder.role !== role)) {
      throw new RefusedError(
        'enrolment.duplicate-key',
        `${describeMember(enrolment)} has the KEM key of ${describeMember(holder)}. Every machine makes keys of its own: ` +
          'set it up in a new directory.',
      );
    }
    const own = kept.find(
      (body) => role === 'client' && body.id === id && sameBytes(keyIdOf(body.keys), keyIdOf(enrolment.keys)),
    );
    if (own?.kem !== undefined && !sameBytes(own.kem, kem) && replace !== true) {
      throw new RefusedError(
        'enrolment.already-enrolled',
        `${describeMember(enrolment)} is enrolled with another KEM key. If this file is the newer one, enrol it with ` +
          '--replace.',
      );
    }
  }
}
