/**
 * A fleet whose keys are all made where they live: the owner takes the enrolments of machines that are set up already, and
 * signs the first roster from them. Only what no machine brings is made beside the owner.
 */
import { join } from 'node:path';
import { hex } from '../../custody/fields.js';
import type { WrapperConfig } from '../../custody/wrappers/wrapper-config.js';
import { RefusedError } from '../../errors.js';
import type { EnrolledRole, EnrolmentBody } from '../../package/messages/enrolment.js';
import type { RosterBody, RosterCustodian } from '../../package/messages/roster.js';
import {
  createFleetDirectory,
  createMember,
  type FleetSettings,
  finishFleet,
  type MadeMember,
  publicKem,
  signFirstRoster,
} from '../fleet-directory.js';
import { writePolicy } from '../role-state.js';
import { RoundRecords } from '../round-records.js';
import { storeEnrolment } from './enrolment-files.js';
import { joinFleet } from './join-fleet.js';
import {
  describeMember,
  keyHolder,
  requireAlgorithms,
  requireDistinct,
  requireOwnKeys,
} from './membership.js';
import { type Enrolment, readEnrolment } from './requests.js';

export interface FoundOptions extends FleetSettings {
  /** As {@link readFounders} gives them: custodians get their indices in this order. */
  readonly founders: readonly Enrolment[];
  /** For the keys that are made here: the owner's, and those of roles that no machine brings. */
  readonly wrapper: WrapperConfig;
}

export interface FoundedFleet {
  readonly rosterFingerprint: Uint8Array;
  readonly ownerKeyId: Uint8Array;
  /** Roles that were made here, each in a directory of its name: the owner, and those that no machine brings. */
  readonly made: readonly MadeRole[];
}

type Listed = Pick<EnrolmentBody, 'id' | 'keys'>;
type MadeRole = 'owner' | 'coordinator' | 'aggregator';

/**
 * Reads the enrolments that a fleet begins with, and refuses those that make no fleet together.
 *
 * Who made one, a file cannot say: compare the key ids with what the machines printed, by a channel that you trust.
 *
 * @param files (`.tge`), or their bytes
 * @throws as {@link readEnrolment} does
 * @throws RefusedError `enrolment.other-owner`, `enrolment.listed-twice`, `enrolment.duplicate-key`, `enrolment.wrong-epoch`
 */
export async function readFounders(
  files: readonly (string | Uint8Array)[],
  fleet: string,
): Promise<Enrolment[]> {
  const founders: Enrolment[] = [];
  for (const file of files) founders.push(await readEnrolment(file, fleet));
  const bodies = founders.map(({ body }) => body);
  for (const body of bodies) requireNoOwner(body);
  requireDistinct(bodies);
  requireOwnKeys(bodies.map(keyHolder));
  requireOneEpoch(bodies.filter(({ role }) => role === 'custodian'));
  return founders;
}

/** The owner's keys are made by the founding: whoever knows an owner already belongs to another one's fleet. */
function requireNoOwner({ role, id, ownerKeyId }: EnrolmentBody): void {
  if (ownerKeyId === undefined) return;
  throw new RefusedError(
    'enrolment.other-owner',
    `${describeMember({ role, id })} was set up for owner ${hex(ownerKeyId)}, and this fleet's owner is only made now. Set it ` +
      'up without --owner-key-id, and give that to "fleet join".',
  );
}

function requireOneEpoch(custodians: readonly EnrolmentBody[]): void {
  const [first] = custodians;
  const other = custodians.find(({ epoch }) => epoch !== first?.epoch);
  if (first === undefined || other === undefined) return;
  throw new RefusedError(
    'enrolment.wrong-epoch',
    `Custodian "${first.id}" brings a KEM key of epoch ${first.epoch}, custodian "${other.id}" one of epoch ${other.epoch}. A ` +
      'fleet begins with all custodians in one epoch: set them up with the same --epoch.',
  );
}

/**
 * Makes the owner below `directory`, the coordinator and the aggregator where none is among the founders, and roster version 1.
 * Interrupted, it leaves a directory without `fleet.json`, whose roster nobody has seen: remove that one and begin anew.
 *
 * @throws RefusedError `fleet.directory-not-empty`, `enrolment.algorithm-missing`; `wrapper.*`
 * @throws FormatError `container.invalid-body` where there is no such roster: no custodian, or a threshold above their number
 */
export async function foundFleet(options: FoundOptions): Promise<FoundedFleet> {
  const { directory, founders, signatureAlgorithms, wrapper } = options;
  requireAlgorithms(
    signatureAlgorithms,
    founders.map(({ body }) => body),
  );
  await createFleetDirectory(directory);
  const make = (role: MadeRole): Promise<MadeMember> =>
    createMember(join(directory, role), role, role, options, wrapper);
  const owner = await make('owner');
  const made: MadeMember[] = [owner];
  const enrolledOrMade = async (role: 'coordinator' | 'aggregator'): Promise<[Listed, ...Listed[]]> => {
    const [first, ...rest] = ofRole(founders, role);
    if (first !== undefined) return [first, ...rest];
    const member = await make(role);
    made.push(member);
    return [{ id: member.id, keys: member.signing.publicKeys }];
  };
  const [coordinator] = await enrolledOrMade('coordinator');
  const aggregators = await enrolledOrMade('aggregator');
  const gateways = ofRole(founders, 'gateway');
  const roster = await signFirstRoster(
    options,
    {
      owner: { keys: owner.signing.publicKeys, kem: publicKem(owner) },
      coordinator: { keys: coordinator.keys },
      aggregators: aggregators.map(({ id, keys }) => ({ id, keys })),
      ...(gateways.length > 0 && { gateways: gateways.map(({ id, keys }) => ({ id, keys })) }),
      clients: ofRole(founders, 'client').map(({ id, keys }) => ({ id, keys, status: 'active' })),
      custodians: listedCustodians(ofRole(founders, 'custodian')),
    },
    owner.signing,
  );
  await keepFounders(owner.directory, founders);
  for (const { directory: home } of made) {
    await joinFleet({ directory: home, file: roster.bytes });
    await writePolicy(home, options.policyFile);
  }
  await finishFleet(options, roster);
  return {
    rosterFingerprint: roster.fingerprint,
    ownerKeyId: owner.signing.keyId,
    made: made.map(({ id }) => id as MadeRole),
  };
}

function ofRole(founders: readonly Enrolment[], role: EnrolledRole): EnrolmentBody[] {
  return founders.map(({ body }) => body).filter((body) => body.role === role);
}

function listedCustodians(custodians: readonly EnrolmentBody[]): RosterBody['custodians'] {
  return custodians.map(({ id, keys, kem, epoch }, i): RosterCustodian => {
    if (kem === undefined || epoch === undefined) throw new TypeError(`custodian ${id} has no KEM key`);
    return { id, index: i + 1, keys, kem, epoch };
  });
}

/** What the roster does not say: clients' KEM keys for releases, and where custodians' ledgers begin. */
async function keepFounders(ownerDirectory: string, founders: readonly Enrolment[]): Promise<void> {
  const records = new RoundRecords(ownerDirectory);
  for (const founder of founders) {
    await storeEnrolment(ownerDirectory, founder);
    const { id, ledgerHead } = founder.body;
    if (ledgerHead !== undefined) {
      await records.recordLedgerStart({ custodian: id, head: ledgerHead, atMs: Date.now() });
    }
  }
}
