/**
 * The custodians of the next roster. They move to a new epoch together: a plan has one, and a client seals to all of them.
 */
import { sameBytes } from '../../custody/fields.js';
import { RefusedError } from '../../errors.js';
import type { EnrolmentBody } from '../../package/messages/enrolment.js';
import type { RosterBody, RosterCustodian } from '../../package/messages/roster.js';
import { type EnrolmentChange, requireReplace, sameKeys } from './membership.js';

/**
 * An enrolment with the listed signing keys and a later epoch is a rotation; with other signing keys it is a replacement, which
 * needs a later epoch too, since the share of this epoch is sealed to a key that went with the old machine; one of an id that
 * is not listed is appended.
 *
 * @throws RefusedError `enrolment.already-enrolled`, `enrolment.wrong-epoch`, `enrolment.duplicate-key`,
 *   `enrolment.custodians-missing`
 */
export function evolveCustodians(
  current: Pick<RosterBody, 'custodians'>,
  enrol: readonly EnrolmentChange[],
): RosterCustodian[] {
  const epoch = Math.max(...current.custodians.map((custodian) => custodian.epoch));
  const next = [...current.custodians];
  for (const change of enrol) {
    if (change.enrolment.role !== 'custodian') continue;
    const at = next.findIndex(({ id }) => id === change.enrolment.id);
    const listed = next[at];
    const index = listed?.index ?? next.length + 1;
    next[index - 1] = evolveCustodian(change, listed, index, epoch);
  }
  requireOneEpoch(next);
  return next;
}

function evolveCustodian(
  change: EnrolmentChange,
  listed: RosterCustodian | undefined,
  index: number,
  current: number,
): RosterCustodian {
  const { id, keys, kem, epoch, restored } = change.enrolment;
  if (kem === undefined || epoch === undefined) throw new TypeError(`custodian ${id} has no KEM key`);
  const made = { id, index, keys, kem, epoch };
  const first = listed === undefined ? current : current + 1;
  if (listed !== undefined) {
    if (isListed(change.enrolment, listed) && restored !== true) return listed;
    if (!sameKeys(listed.keys, keys)) requireReplace(change);
  }
  // Any later epoch does, if all bring it: one whose key for the next was lost or compromised has to leave that out.
  if (epoch < first) {
    throw new RefusedError(
      'enrolment.wrong-epoch',
      `Custodian "${id}" brings a KEM key of epoch ${epoch}; it must be of epoch ${first} or later, the fleet's being ` +
        `${current}. Make one with "keys rotate", or set the custodian up with --epoch.`,
    );
  }
  if (listed !== undefined && sameBytes(listed.kem, kem)) {
    throw new RefusedError(
      'enrolment.duplicate-key',
      `Custodian "${id}" brings the KEM key of epoch ${listed.epoch} for epoch ${epoch}. Every epoch has a key of its own, ` +
        'which is destroyed when the epoch is over: make one with "keys rotate".',
    );
  }
  return made;
}

function isListed({ keys, kem, epoch }: EnrolmentBody, listed: RosterCustodian): boolean {
  return (
    kem !== undefined && epoch === listed.epoch && sameBytes(kem, listed.kem) && sameKeys(keys, listed.keys)
  );
}

function requireOneEpoch(custodians: readonly RosterCustodian[]): void {
  const epoch = Math.max(...custodians.map((custodian) => custodian.epoch));
  const missing = custodians.filter((custodian) => custodian.epoch !== epoch).map(({ id }) => `"${id}"`);
  if (missing.length === 0) return;
  throw new RefusedError(
    'enrolment.custodians-missing',
    `All custodians move to epoch ${epoch} in one roster. The enrolments (.tge) for it of ${missing.join(', ')} are missing: ` +
      `rotate those ("keys rotate --epoch ${epoch}"), and pass all files together.`,
  );
}
