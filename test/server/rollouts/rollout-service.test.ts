import { expect } from 'chai';
import { EnvironmentError } from '../../../lib/errors.js';
import type { RolloutEvent } from '../../../lib/rollout/events.js';
import type { RolloutState } from '../../../lib/rollout/state.js';
import type { StoredAlert } from '../../../lib/server/rollouts/alerts.js';
import { RolloutService } from '../../../lib/server/rollouts/rollout-service.js';
import { openStore } from '../../../lib/store/open-store.js';
import type { Store } from '../../../lib/store/store.js';
import {
  CANDIDATE,
  clientIds,
  GOOD,
  PREVIOUS,
  release,
  testPlan,
  VERDICT,
} from '../../rollout/support/rollout-driver.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const POLICY = 'pick.and_place';
const QUICK = { minimumDurationSeconds: 0, analysisIntervalSeconds: 1 };

describe('rollouts that several processes share', function () {
  this.timeout(20_000);

  const opened: { close(): Promise<unknown> }[] = [];
  let store: Store;
  let alerts: StoredAlert[];
  beforeEach(async () => {
    store = await openStore({ kind: 'embedded', directory: await temporaryDirectory() });
    opened.push(store);
    alerts = [];
  });
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  function service(
    options: { of?: Store; errors?: unknown[]; implied?: (state: RolloutState) => RolloutEvent[] } = {},
  ): RolloutService {
    const { of = store, errors = [], implied = () => [] } = options;
    const rollouts = new RolloutService({
      store: of,
      impliedEvents: async (state) => implied(state),
      onAlert: (_policy, alert) => alerts.push(alert),
      onError: (error) => errors.push(error),
    });
    opened.push(rollouts);
    return rollouts;
  }

  async function begun(rollouts: RolloutService, quick = QUICK): Promise<void> {
    await rollouts.begin(POLICY, PREVIOUS);
    const plan = testPlan(10, { policy: POLICY, ...quick });
    const verdict = { outcome: 'passed', verdict: VERDICT } as const;
    await rollouts.start(POLICY, { plan, atMs: Date.now(), supersede: false, verdict });
  }

  const phaseOf = async (rollouts: RolloutService) => (await rollouts.read(POLICY))?.latest?.phase.name;

  async function until(rollouts: RolloutService, phase: string): Promise<string | undefined> {
    for (const end = Date.now() + 8000; Date.now() < end && (await phaseOf(rollouts)) !== phase; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return phaseOf(rollouts);
  }

  async function reportFromCanary(rollouts: RolloutService, sequence: number): Promise<void> {
    const members = (await rollouts.read(POLICY))?.latest?.clients.filter(({ offered }) => offered) ?? [];
    for (const { id: client } of members) {
      const event = { type: 'telemetry', atMs: Date.now(), client, sequence, runs: CANDIDATE } as const;
      await rollouts.send(POLICY, { ...event, telemetry: GOOD });
    }
  }

  it('go on in another process when the one that had the timer is dead', async () => {
    const dead = service();
    await begun(dead);
    await dead.close();
    const other = service();
    await other.resume();
    await other.resume();
    await reportFromCanary(other, 1);
    expect(await until(other, 'progressing')).to.equal('progressing');
  });

  it('lose nothing of what two processes are told at once', async () => {
    const [left, right] = [service(), service()];
    await begun(left, { ...QUICK, minimumDurationSeconds: 600 });
    const confirm = (client: string, rollouts: RolloutService) =>
      rollouts.send(POLICY, { type: 'confirm', atMs: Date.now(), client, sequence: 1, runs: PREVIOUS });
    await Promise.all(clientIds(10).map((client, i) => confirm(client, i % 2 === 0 ? left : right)));
    const { latest } = (await left.read(POLICY)) ?? {};
    expect(latest?.clients.filter(({ reported }) => reported !== undefined)).to.have.length(10);
  });

  it('are told what the store holds by whoever looks next', async () => {
    const first = service();
    await first.begin(POLICY, PREVIOUS);
    const plan = testPlan(10, { policy: POLICY, ...QUICK });
    await first.start(POLICY, { plan, atMs: Date.now(), supersede: false });
    expect(await phaseOf(first)).to.equal('pending');
    const { adapterFingerprint } = CANDIDATE;
    const verdict = { type: 'verdict', adapterFingerprint, outcome: 'passed', verdict: VERDICT } as const;
    const second = service({
      implied: ({ phase }) => (phase.name === 'pending' ? [{ ...verdict, atMs: Date.now() }] : []),
    });
    await second.resume();
    expect(await phaseOf(first)).to.equal('canary');
  });

  it('hold up nobody where one event is refused', async () => {
    const rollouts = service();
    await begun(rollouts, { ...QUICK, minimumDurationSeconds: 600 });
    const atMs = Date.now();
    const answers = await Promise.allSettled([
      rollouts.command(POLICY, 2, { type: 'promote', atMs, fromStep: 7 }),
      rollouts.command(POLICY, 2, { type: 'pause', atMs }),
      rollouts.command(POLICY, 9, { type: 'abort', atMs }),
    ]);
    expect(answers.map(({ status }) => status)).to.deep.equal(['rejected', 'fulfilled', 'rejected']);
    expect(await phaseOf(rollouts)).to.equal('paused');
  });

  it('tell of each alert once at least, also of one whose process died before it did', async () => {
    const rollouts = service();
    await begun(rollouts, { ...QUICK, minimumDurationSeconds: 600 });
    const { update } = store.state;
    // The record with the alert is stored, and that it was told of is not.
    let updates = 0;
    store.state.update = async (...at) => {
      updates += 1;
      if (updates > 1) throw new EnvironmentError('store.unavailable', 'away');
      return update.apply(store.state, at);
    };
    await rollouts.command(POLICY, 2, { type: 'pause', atMs: Date.now() });
    await rollouts.close();
    store.state.update = update;
    expect(alerts.map(({ code }) => code)).to.deep.equal(['paused']);
    const other = service();
    await other.resume();
    await other.close();
    expect(alerts.map(({ code, number }) => [code, number])).to.deep.equal([
      ['paused', 1],
      ['paused', 1],
    ]);
    await service().resume();
    expect(alerts).to.have.length(2);
  });

  it('fire a timer at which the store could not be reached', async () => {
    const errors: unknown[] = [];
    const rollouts = service({ errors });
    await begun(rollouts);
    await reportFromCanary(rollouts, 1);
    const { get } = store.state;
    let failures = 0;
    store.state.get = async (key) => {
      failures += 1;
      store.state.get = get;
      throw new EnvironmentError('store.unavailable', `away for ${key}`);
    };
    while (failures === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await until(rollouts, 'progressing')).to.equal('progressing');
    expect(errors).to.have.length(1);
  });

  it('keep what is no longer the newest, and begin a policy’s history once', async () => {
    const rollouts = service();
    await begun(rollouts);
    await rollouts.begin(POLICY, release(7));
    expect((await rollouts.read(POLICY))?.history.current).to.deep.equal(PREVIOUS);
    for (let step = 0; (await phaseOf(rollouts)) !== 'full'; step += 1) {
      await rollouts.command(POLICY, 2, { type: 'promote', atMs: Date.now(), fromStep: step });
    }
    const plan = testPlan(10, { policy: POLICY, release: release(3), previous: CANDIDATE });
    await rollouts.start(POLICY, { plan, atMs: Date.now(), supersede: false });
    const listed = await rollouts.list(POLICY);
    expect(listed.map(({ plan: { release: of }, phase }) => [of.counter, phase.name])).to.deep.equal([
      [3, 'pending'],
      [2, 'full'],
    ]);
    expect(listed[1]?.supersededBy).to.deep.equal(release(3));
    expect(await rollouts.policies()).to.deep.equal([POLICY]);
  });

  it('refuse a start where the policy has no release', async () => {
    const plan = testPlan(10, { policy: POLICY });
    const code = await service()
      .start(POLICY, { plan, atMs: Date.now(), supersede: false })
      .catch((error: { readonly code: string }) => error.code);
    expect(code).to.equal('rollout.no-release');
  });
});
