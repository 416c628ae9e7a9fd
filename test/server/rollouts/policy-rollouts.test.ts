import { deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { RefusedError } from '../../../lib/errors.js';
import { addTelemetry, NO_EVIDENCE } from '../../../lib/rollout/evidence.js';
import {
  decodePolicyRollouts,
  encodePolicyRollouts,
  MAX_ROLLOUT_CLIENTS,
  newPolicyRollouts,
  type PolicyRollouts,
  unannounced,
  withAnnounced,
  withEvent,
  withStart,
} from '../../../lib/server/rollouts/policy-rollouts.js';
import { rosterEvents } from '../../../lib/server/rollouts/roster-events.js';
import { MAX_VALUE_BYTES } from '../../../lib/store/limits.js';
import {
  CANDIDATE,
  clientIds,
  PREVIOUS,
  release,
  START_MS,
  testPlan,
  VERDICT,
} from '../../rollout/support/rollout-driver.js';
import { expectRefusal } from '../../support/refusals.js';

const POLICY = 'pick-and-place';
const PASSED = { outcome: 'passed', verdict: VERDICT } as const;

function started(clientCount = 10): PolicyRollouts {
  const request = { plan: testPlan(clientCount), atMs: START_MS, supersede: false, verdict: PASSED };
  return withStart(newPolicyRollouts(POLICY, PREVIOUS), request).record;
}

describe('the record of a policy’s rollouts', () => {
  it('is stored and read as it was', () => {
    const record = withEvent(started(), { type: 'pause', atMs: START_MS + 1 });
    expect(decodePolicyRollouts(encodePolicyRollouts(record))).to.deep.equal(record);
    const empty = newPolicyRollouts(POLICY, PREVIOUS);
    expect(decodePolicyRollouts(encodePolicyRollouts(empty))).to.deep.equal(empty);
  });

  it('is refused where it is damaged, another version’s, or contradicts itself', async () => {
    const document = {
      ...{ schemaVersion: 1, policy: POLICY, alerts: [], announced: 0 },
      history: newPolicyRollouts(POLICY, PREVIOUS).history,
    };
    const encode = (changes: object): Uint8Array =>
      deflateRawSync(JSON.stringify({ ...document, ...changes }));
    expect(decodePolicyRollouts(encode({})).policy).to.equal(POLICY);
    const bad: [Uint8Array, string][] = [
      [new Uint8Array(7), 'rollout.bad-record'],
      [deflateRawSync('{'), 'rollout.bad-record'],
      [encode({ schemaVersion: 2 }), 'rollout.bad-record'],
      [encode({ more: 1 }), 'rollout.bad-record'],
      [encode({ alerts: [{ code: 'paused' }] }), 'rollout.bad-record'],
      [encode({ history: {} }), 'rollout.bad-history'],
      [encode({ latest: { phase: { name: 'full' } } }), 'rollout.bad-state'],
    ];
    for (const [bytes, code] of bad) await expectRefusal(code, () => decodePolicyRollouts(bytes));
  });

  it('fits into one value of the store with as many clients as are allowed, whatever they report', () => {
    const digits = (seed: number): number =>
      Math.abs(Math.sin(seed) * 1e6) + Math.abs(Math.cos(seed * 7)) / 1e6;
    const ids = clientIds(MAX_ROLLOUT_CLIENTS).map((id, i) =>
      `${id}.${digits(i)}.${digits(i * 3)}`.padEnd(64, 'x'),
    );
    const record = withStart(newPolicyRollouts(POLICY, PREVIOUS), {
      ...{ plan: testPlan(1, { clients: ids.map((id) => id.slice(0, 64)) }), atMs: START_MS },
      ...{ supersede: false, verdict: PASSED },
    }).record;
    const { latest } = record;
    if (latest === undefined) throw new Error('nothing was started');
    const clients = latest.clients.map((client, i) => {
      const moments = (k: number) => ({ count: 999, sum: digits(i * k), sumOfSquares: digits(i * k) ** 2 });
      const counts = { episodes: 1000 + i, successes: i % 1000, violations: i % 97, collisions: i % 89 };
      const window = addTelemetry(NO_EVIDENCE, {
        ...counts,
        klDivergence: moments(11),
        latencyMs: moments(13),
      });
      const seen = {
        sequence: 1_000_000 + i * 7919,
        lastSeenMs: START_MS + i * 104_729,
        telemetryMs: i * 15_485,
      };
      return { ...client, ...seen, window, offered: true, exposed: true, reported: CANDIDATE };
    });
    const full = { ...record, latest: { ...latest, clients } };
    const bytes = encodePolicyRollouts(full);
    expect(bytes.length).to.be.lessThan(MAX_VALUE_BYTES);
    expect(decodePolicyRollouts(bytes)).to.deep.equal(full);
  });

  it('takes no rollout of more clients than that', async () => {
    const request = { plan: testPlan(MAX_ROLLOUT_CLIENTS + 1), atMs: START_MS, supersede: false };
    const record = newPolicyRollouts(POLICY, PREVIOUS);
    await expectRefusal('rollout.too-many-clients', () => withStart(record, request));
  });

  it('changes history and state together, and keeps an alert until somebody was told of it', () => {
    const canary = started();
    expect(canary.history.active).to.deep.equal(CANDIDATE);
    const back = withEvent(canary, { type: 'rollback', atMs: START_MS + 5 });
    expect(back.history.withdrawn.map(({ adapterFingerprint }) => adapterFingerprint)).to.deep.equal([
      CANDIDATE.adapterFingerprint,
    ]);
    expect(unannounced(back)).to.deep.equal([
      {
        ...{ number: 1, atMs: START_MS + 5, rollout: 2, code: 'rolling-back' },
        message: 'The release is withdrawn (command). The owner has to sign a release that goes back.',
      },
    ]);
    const told = withAnnounced(back, 1);
    expect(unannounced(told)).to.deep.equal([]);
    expect(withAnnounced(told, 1)).to.equal(told);
  });

  it('is the same after a refused event, and after the same start again', () => {
    const record = started();
    expect(() => withEvent(record, { type: 'promote', fromStep: 4, atMs: START_MS + 9 })).to.throw(
      RefusedError,
    );
    const again = { plan: testPlan(10), atMs: START_MS + 9, supersede: false };
    expect(withStart(record, again)).to.deep.equal({ record });
  });

  it('hands over what was at full to the next, which is the one to roll back from then on', () => {
    let record = started(1);
    for (let step = 0; record.latest?.phase.name !== 'full'; step += 1) {
      record = withEvent(record, { type: 'promote', fromStep: step, atMs: START_MS + step });
    }
    const next = testPlan(1, { release: release(3), previous: CANDIDATE });
    const { record: after, past } = withStart(record, { plan: next, atMs: START_MS + 50, supersede: false });
    expect(past?.supersededBy).to.deep.equal(release(3));
    expect(after.latest?.plan.release).to.deep.equal(release(3));
    expect(after.history.current).to.deep.equal(CANDIDATE);
  });
});

describe('what a roster means for a rollout', () => {
  const member = (id: string, status: 'active' | 'suspended' | 'revoked') => ({ id, status }) as never;

  it('is that the revoked and the suspended leave, and the enrolled come, once', () => {
    const { latest } = started(3);
    if (latest === undefined) throw new Error('nothing was started');
    const [first, second, third] = clientIds(3) as [string, string, string];
    const roster = {
      clients: [
        ...[member(first, 'active'), member(second, 'revoked'), member(third, 'suspended')],
        ...[member('new-1', 'active'), member('new-2', 'active'), member('gone', 'revoked')],
      ],
    };
    const events = rosterEvents(latest, roster, new Set([first, 'new-2']), START_MS + 1);
    expect(events).to.have.deep.members([
      { type: 'revoked', atMs: START_MS + 1, client: second },
      { type: 'revoked', atMs: START_MS + 1, client: third },
      { type: 'enrolled', atMs: START_MS + 1, client: 'new-1', recipient: false },
      { type: 'enrolled', atMs: START_MS + 1, client: 'new-2', recipient: true },
    ]);
    const told = events.reduce(withEvent, started(3)).latest;
    if (told === undefined) throw new Error('nothing was started');
    expect(rosterEvents(told, roster, new Set(), START_MS + 2)).to.deep.equal([]);
  });

  it('is nothing for new clients where the rollout has no room for them', () => {
    const { latest } = started(MAX_ROLLOUT_CLIENTS);
    if (latest === undefined) throw new Error('nothing was started');
    const ids = [...clientIds(MAX_ROLLOUT_CLIENTS), 'new-1'];
    const roster = { clients: ids.map((id) => member(id, 'active')) };
    expect(rosterEvents(latest, roster, new Set(['new-1']), START_MS)).to.deep.equal([]);
  });
});
