import { expect } from 'chai';
import { EnvironmentError } from '../../../lib/errors.js';
import { plannedRound } from '../../../lib/round/machine/state.js';
import { RoundService } from '../../../lib/server/rounds/round-service.js';
import { openStore } from '../../../lib/store/open-store.js';
import type { Store } from '../../../lib/store/store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const PLAN = 'ab'.repeat(32);

function planned(deadlineMs: number) {
  const nowMs = Date.now();
  return plannedRound(
    {
      key: { fleet: 'acme', policy: 'p', cohort: 'all', round: 1 },
      plan: PLAN,
      opensAtMs: nowMs - 1,
      deadlineMs: nowMs + deadlineMs,
      quorum: 2,
      maxClients: 3,
      threshold: 2,
      custodians: ['a', 'b', 'c'],
      eligible: ['x', 'y', 'z'],
      secondUpdate: 'replace',
      roundIntervalSeconds: 3600,
      sumLeaseMs: 60_000,
      maxSumAttempts: 5,
    },
    nowMs,
  );
}

describe('rounds that several processes share', () => {
  const opened: { close(): Promise<unknown> }[] = [];
  let store: Store;
  beforeEach(async () => {
    store = await openStore({ kind: 'embedded', directory: await temporaryDirectory() });
    opened.push(store);
  });
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
  });

  function service(of: Store = store, errors: unknown[] = []): RoundService {
    const rounds = new RoundService({ store: of, onError: (error) => errors.push(error) });
    opened.push(rounds);
    return rounds;
  }

  async function failedIn(rounds: RoundService): Promise<string | undefined> {
    for (const end = Date.now() + 5000; Date.now() < end; ) {
      const state = await rounds.read(PLAN);
      if (state?.failure !== undefined) return state.failure.code;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return undefined;
  }

  it('answer every event, whenever it comes while another one is under way', async () => {
    const rounds = service();
    await rounds.create(PLAN, planned(60_000));
    for (let ticks = 0; ticks < 60; ticks += 1) {
      const event = { type: 'time', atMs: Date.now() } as const;
      const later = (async () => {
        for (let tick = 0; tick < ticks; tick += 1) await undefined;
        return rounds.send(PLAN, event);
      })();
      await rounds.send(PLAN, event);
      const late = new Promise((resolve) => setTimeout(resolve, 1000, 'no answer').unref());
      expect(await Promise.race([later, late]), `${ticks} ticks later`).to.not.equal('no answer');
    }
  });

  it('fire a deadline that a process which is gone had the timer for, once another one resumes', async () => {
    const first = service();
    await first.create(PLAN, planned(400));
    await first.close();
    const second = service();
    await second.resume();
    await second.resume();
    expect(await failedIn(second)).to.equal('below-quorum');
    await second.resume();
  });

  it('fire a deadline at which the store could not be reached', async () => {
    const errors: unknown[] = [];
    let reachable = false;
    const failing: Store = {
      ...store,
      kind: store.kind,
      blobs: store.blobs,
      queue: store.queue,
      collectLeftovers: () => store.collectLeftovers(),
      close: () => store.close(),
      state: {
        get: (key) => store.state.get(key),
        create: (key, value) => store.state.create(key, value),
        remove: (key, revision) => store.state.remove(key, revision),
        list: (prefix) => store.state.list(prefix),
        lastRevision: () => store.state.lastRevision(),
        watch: (prefix, options) => store.state.watch(prefix, options),
        update: async (key, value, revision) => {
          if (reachable) return store.state.update(key, value, revision);
          reachable = true;
          throw new EnvironmentError('store.unavailable', 'away');
        },
      },
    };
    const rounds = service(failing, errors);
    await rounds.create(PLAN, planned(50));
    expect(await failedIn(rounds)).to.equal('below-quorum');
    expect(errors).to.have.length(1);
  });

  it('say what they would refuse without changing anything', async () => {
    const rounds = service();
    await rounds.create(PLAN, planned(60_000));
    const before = await rounds.read(PLAN);
    const refused = await rounds
      .check(PLAN, { type: 'update-received', client: 'w', fingerprint: PLAN, atMs: Date.now() })
      .catch((error: { readonly code: string }) => error.code);
    expect(refused).to.equal('round.client-not-eligible');
    await rounds.check(PLAN, { type: 'update-received', client: 'x', fingerprint: PLAN, atMs: Date.now() });
    expect(await rounds.read(PLAN)).to.deep.equal(before);
  });

  it('do what an end asks for, once more where the process died that had stored it, or where it could not be done', async () => {
    const close = { record: PLAN, opened: [], reason: 'a test', atMs: Date.now() } as const;
    const dying = service();
    await dying.create(PLAN, planned(60_000));
    await dying.send(PLAN, { type: 'abort', reason: 'a test', atMs: Date.now() });
    // This one does nothing of what the end asks for.
    await dying.send(PLAN, { type: 'closed', ...close });
    await dying.close();
    const done: string[] = [];
    const errors: unknown[] = [];
    let isBroken = true;
    const rounds = new RoundService({
      store,
      onError: (error) => errors.push(error),
      onEffect: async (_plan, _state, { type }) => {
        if (type !== 'record-health') return;
        if (isBroken) throw new EnvironmentError('store.unavailable', 'away');
        done.push(type);
      },
    });
    opened.push(rounds);
    await rounds.resume();
    expect([done.length, errors.length]).to.deep.equal([0, 1]);
    isBroken = false;
    await rounds.resume();
    await rounds.resume();
    expect([done, errors.length]).to.deep.equal([['record-health'], 1]);
  });
});
