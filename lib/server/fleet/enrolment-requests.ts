/**
 * Machines that ask to be enrolled. Anybody may ask, so that what strangers can fill is bounded: in number, in time, and never
 * so that a member of the fleet, whose keys are to be replaced, is turned away.
 */
import { z } from 'zod';
import { ENROLLED_ROLES } from '../../package/messages/enrolment.js';
import type { RosterBody } from '../../package/messages/roster.js';
import type { StateStore } from '../../store/store.js';
import { RetryLaterError } from '../problems/retry-later.js';
import { fileRecordSchema } from '../rounds/stored-round.js';
import { changeJson, listJson, readJson } from '../state/json-state.js';
import { ENROLMENT_PREFIX, keySegment } from '../state/keys.js';

export const enrolmentRecordSchema = fileRecordSchema.extend({
  role: z.enum(ENROLLED_ROLES),
  id: z.string(),
  keyId: z.string(),
  epoch: z.int().optional(),
});
export type EnrolmentRecord = z.infer<typeof enrolmentRecordSchema>;

export interface EnrolmentLimits {
  /** Of machines that no roster lists. */
  readonly maxPending: number;
  /** After this a stranger's request may go, where there are too many. */
  readonly pendingMs: number;
}

const DAY_MS = 86_400_000;
export const DEFAULT_ENROLMENT_LIMITS: EnrolmentLimits = { maxPending: 1000, pendingMs: 7 * DAY_MS };

export class EnrolmentRequests {
  constructor(
    private readonly state: StateStore,
    private readonly roster: () => RosterBody,
    private readonly limits: EnrolmentLimits = DEFAULT_ENROLMENT_LIMITS,
  ) {}

  /**
   * Keeps a verified request: one for each member, of which the last one counts.
   *
   * @throws RetryLaterError `enrolment.too-many`
   */
  async keep(record: EnrolmentRecord): Promise<void> {
    const key = keyOf(record);
    const isKnown = isMember(this.roster(), record) || (await this.#read(key)) !== undefined;
    if (!isKnown) await this.#requireRoom(record.atMs);
    await changeJson(this.state, enrolmentRecordSchema, key, () => record);
  }

  async list(): Promise<EnrolmentRecord[]> {
    const records: EnrolmentRecord[] = [];
    for await (const { value } of listJson(this.state, enrolmentRecordSchema, ENROLMENT_PREFIX)) {
      records.push(value);
    }
    return records;
  }

  async #read(key: string): Promise<EnrolmentRecord | undefined> {
    return (await readJson(this.state, enrolmentRecordSchema, key))?.value;
  }

  /** Several servers at once may let in a few more than the limit: it bounds storage, and is no promise. */
  async #requireRoom(nowMs: number): Promise<void> {
    let keys = 0;
    for await (const _ of this.state.list(ENROLMENT_PREFIX)) keys += 1;
    if (keys < this.limits.maxPending) return;
    const roster = this.roster();
    let pending = 0;
    for await (const { key, value, revision } of listJson(
      this.state,
      enrolmentRecordSchema,
      ENROLMENT_PREFIX,
    )) {
      if (isMember(roster, value)) continue;
      const isOld = value.atMs + this.limits.pendingMs <= nowMs;
      if (!isOld || !(await this.state.remove(key, revision))) pending += 1;
    }
    if (pending < this.limits.maxPending) return;
    throw new RetryLaterError(
      'enrolment.too-many',
      'Too many machines wait for the owner to enrol them. Ask again later, or give the owner the .tge file.',
      DAY_MS,
    );
  }
}

/** Whether a roster lists the member: how many of them there are the owner has decided. */
function isMember(
  { clients, gateways = [], custodians, aggregators }: RosterBody,
  { role, id }: Pick<EnrolmentRecord, 'role' | 'id'>,
): boolean {
  if (role === 'coordinator') return true;
  const members = { client: clients, gateway: gateways, custodian: custodians, aggregator: aggregators }[
    role
  ];
  return members?.some((member) => member.id === id) === true;
}

function keyOf({ role, id }: Pick<EnrolmentRecord, 'role' | 'id'>): string {
  return `${ENROLMENT_PREFIX}.${keySegment(`${role}-${id}`)}`;
}
