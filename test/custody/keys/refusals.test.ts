import { expect } from 'chai';
import { KeyStore } from '../../../lib/custody/keys/key-store.js';
import { REFUSAL_WINDOW_MS, REFUSALS_A_WINDOW } from '../../../lib/custody/keys/refusals.js';
import { newStore } from './support/stores.js';

function refusals(store: KeyStore) {
  return store.vault.trail.entries().filter(({ kind }) => kind === 'refuse');
}

describe('refusals on the audit trail', () => {
  it('are the first few of a code in an hour, the last of which says that more may follow', async () => {
    const { store } = await newStore();
    for (let i = 0; i < 3 * REFUSALS_A_WINDOW; i += 1) {
      await store.refuse({ code: 'container.bad-signature', number: i });
    }
    const recorded = refusals(store);
    expect(recorded.map(({ detail }) => detail['number'])).to.deep.equal(
      Array.from({ length: REFUSALS_A_WINDOW }, (_, i) => i),
    );
    for (const { detail } of recorded.slice(0, -1)) expect(detail).not.to.have.property('unrecordedUntilMs');
    expect(recorded.at(-1)?.detail['unrecordedUntilMs']).to.be.greaterThan(Date.now());
    store.close();
  });

  it('of one code do not silence those of another', async () => {
    const { store } = await newStore();
    for (let i = 0; i < 2 * REFUSALS_A_WINDOW; i += 1)
      await store.refuse({ code: 'container.bad-signature' });
    await store.refuse({ code: 'ledger.round-already-answered', round: 'round 7' });
    expect(refusals(store).at(-1)?.detail).to.deep.equal({
      code: 'ledger.round-already-answered',
      round: 'round 7',
    });
    store.close();
  });

  it('are recorded again in the next hour, by whichever process, and though a clock was ahead once', async () => {
    const { directory, store } = await newStore();
    const clock = Date.now;
    const flood = async (of: KeyStore, aheadMs: number): Promise<void> => {
      Date.now = () => clock() + aheadMs;
      try {
        for (let i = 0; i < 2 * REFUSALS_A_WINDOW; i += 1) await of.refuse({ code: 'plan.older-roster' });
      } finally {
        Date.now = clock;
      }
    };
    await flood(store, 3 * REFUSAL_WINDOW_MS);
    await flood(store, 0);
    expect(refusals(store)).to.have.length(2 * REFUSALS_A_WINDOW);
    store.close();
    const again = await KeyStore.open(directory);
    await flood(again, 1);
    expect(refusals(again)).to.have.length(2 * REFUSALS_A_WINDOW);
    await flood(again, REFUSAL_WINDOW_MS + 60_000);
    expect(refusals(again)).to.have.length(3 * REFUSALS_A_WINDOW);
    expect((await again.verifyAudit()).bad).to.equal(undefined);
    again.close();
  });

  it('cost no unwrapping once they are not recorded any more', async () => {
    const { directory, store } = await newStore();
    for (let i = 0; i < REFUSALS_A_WINDOW; i += 1) await store.refuse({ code: 'plan.older-roster' });
    const { sequence } = store.auditHead();
    store.close();
    const again = await KeyStore.open(directory);
    await again.refuse({ code: 'plan.older-roster' });
    expect(again.auditHead().sequence).to.equal(sequence);
    again.close();
  });
});
