/** The steps that must refuse bad files, on the committed round; each would write below `out`. */

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { answerRound } from '../../lib/custody/custodian.js';
import { createLedger } from '../../lib/custody/ledger.js';
import { readTrustedPlan, type TrustedPlan } from '../../lib/custody/trusted-plan.js';
import type { PlanBody } from '../../lib/package/messages/plan.js';
import { openContainer } from '../../lib/package/reader.js';
import { aggregateUpdates } from '../../lib/round/aggregate.js';
import { openRound } from '../../lib/round/open-round.js';
import { RoundRecords } from '../../lib/round/round-records.js';
import { custodianOf, kemKeyOf } from '../custody/support/identities.js';
import { pathsBelow } from '../round/support/directories.js';
import { signAgain } from '../round/support/forgery.js';
import type { ReceivingMember } from '../round/support/members.js';
import {
  type ClientMember,
  type RosterRules,
  rosterBody,
  signRoster,
  trustRosters,
} from '../round/support/members.js';
import { signPlan } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import {
  ANSWERS,
  HYBRID_POLICY,
  openVectors,
  VECTOR_POLICY,
  type VectorRound,
  vector,
  vectorPath,
} from './files.js';

/** Where a case keeps what it makes, and where what it must not make would come to lie. */
export interface Places {
  readonly scratch: string;
  readonly out: string;
}

export type Case = readonly [name: string, code: string, run: (places: Places) => Promise<unknown>];

/** The committed rounds; {@link openRounds} opens them. */
export let round: VectorRound;
export let hybrid: VectorRound;

export async function openRounds(): Promise<void> {
  round = await openVectors(await temporaryDirectory());
  hybrid = await openVectors(await temporaryDirectory(), 'hybrid-');
}

export const client = (number: number, of = round): ClientMember =>
  of.members.clients[number - 1] as ClientMember;

export async function aggregating(
  places: Places,
  updates: readonly (string | Uint8Array)[],
  of = round,
): Promise<void> {
  const paths: string[] = [];
  for (const [i, update] of updates.entries()) {
    const path = join(places.scratch, `${i}.tgu`);
    await (typeof update === 'string' ? copyFile(vectorPath(update), path) : writeFile(path, update));
    paths.push(path);
  }
  const { aggregator } = of.members;
  await aggregateUpdates({
    plan: of.plan,
    policy: of.plan.body.privacy === undefined ? VECTOR_POLICY : HYBRID_POLICY,
    aggregatorId: aggregator.id,
    signing: aggregator.signing,
    updates: paths,
    strict: true,
    out: join(places.out, 'A.tga'),
  });
}

export interface Opening {
  readonly plan?: TrustedPlan;
  readonly aggregate?: Uint8Array;
  readonly answers?: readonly (string | Uint8Array)[];
  readonly verify?: readonly string[];
  readonly records?: RoundRecords;
}

export async function opening(places: Places, inputs: Opening): Promise<void> {
  const { plan = round.plan, answers = ANSWERS.slice(0, 2), verify } = inputs;
  const aggregate = join(places.scratch, 'A.tga');
  await writeFile(aggregate, inputs.aggregate ?? (await vector('aggregate.tga')));
  const paths: string[] = [];
  for (const [i, answer] of answers.entries()) {
    const path = join(places.scratch, `${i}.tgs`);
    await (typeof answer === 'string' ? copyFile(vectorPath(answer), path) : writeFile(path, answer));
    paths.push(path);
  }
  const { owner } = round.members;
  await openRound({
    // The owner's records lie below `out` as well: nothing may be recorded of what was not opened.
    owner: {
      signing: owner.signing,
      kemKey: kemKeyOf(owner),
      records: inputs.records ?? new RoundRecords(join(places.out, 'owner')),
      policy: VECTOR_POLICY,
    },
    plan,
    aggregate,
    answers: paths,
    ...(verify !== undefined && { verify: verify.map(vectorPath) }),
    out: join(places.out, 'average'),
  });
}

export async function answering(
  places: Places,
  aggregates: readonly Uint8Array[],
  plan = round.plan,
): Promise<void> {
  const [custodian] = round.members.custodians;
  const ledger = await createLedger(join(places.scratch, 'ledger.sqlite'));
  const identity = custodianOf(custodian as ReceivingMember, ledger);
  try {
    for (const bytes of aggregates) {
      const aggregate = await openContainer(bytes, 'aggregate');
      const before = ledger.head();
      try {
        await answerRound(identity, plan, aggregate);
      } catch (error) {
        expect(ledger.head(), 'claimed').to.deep.equal(before);
        throw error;
      }
    }
    await writeFile(join(places.out, 'S.tgs'), 'answered');
  } finally {
    ledger.close();
  }
}

export async function summed(updates: readonly (string | Uint8Array)[], of = round): Promise<Uint8Array> {
  const scratch = await temporaryDirectory();
  await aggregating({ scratch, out: scratch }, updates, of);
  const aggregate = await openContainer(join(scratch, 'A.tga'), 'aggregate');
  await aggregate.close();
  return signAgain('aggregate', join(scratch, 'A.tga'), of.members.aggregator.signing);
}

export async function planned(
  changes: (body: PlanBody) => Partial<PlanBody>,
  rules?: RosterRules,
): Promise<TrustedPlan> {
  const { members } = round;
  const roster =
    rules === undefined
      ? round.roster
      : await trustRosters(
          await temporaryDirectory(),
          await signRoster(members, rosterBody(members, { version: 2, ...rules })),
        );
  const { fingerprint: rosterFingerprint } = roster;
  const body = { ...round.plan.body, rosterVersion: roster.body.version, rosterFingerprint };
  return readTrustedPlan(await signPlan(members, { ...body, ...changes(body) }), roster);
}

export async function newPlaces(): Promise<Places> {
  const directory = await temporaryDirectory();
  const places = { scratch: join(directory, 'scratch'), out: join(directory, 'out') };
  await mkdir(places.scratch, { mode: 0o700 });
  await mkdir(places.out, { mode: 0o700 });
  return places;
}

/** Declares a test for each case: its code, and nothing below `out`. */
export function describeRefusals(group: string, cases: readonly Case[]): void {
  for (const [name, code, run] of cases) {
    it(`${group}${name} (${code})`, async () => {
      const places = await newPlaces();
      await expectRefusal(code, () => run(places));
      expect(await pathsBelow(places.out)).to.deep.equal([]);
    });
  }
}
