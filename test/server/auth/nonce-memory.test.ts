import { expect } from 'chai';
import fc from 'fast-check';
import { NonceMemory } from '../../../lib/server/auth/nonce-memory.js';
import { RetryLaterError } from '../../../lib/server/problems/retry-later.js';
import { expectRefusal } from '../../support/refusals.js';

describe('the memory of nonces', () => {
  it('refuses a nonce for at least its lifetime, whatever else happens meanwhile', () => {
    const step = fc.record({
      waitMs: fc.nat({ max: 1500 }),
      key: fc.constantFrom('a', 'b'),
      nonce: fc.nat({ max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const lifetimeMs = 1000;
        const memory = new NonceMemory(lifetimeMs);
        const acceptedAtMs = new Map<string, number>();
        let nowMs = 0;
        for (const { waitMs, key, nonce } of steps) {
          nowMs += waitMs;
          const name = `${key}${nonce}`;
          const since = nowMs - (acceptedAtMs.get(name) ?? Number.NEGATIVE_INFINITY);
          let accepted = true;
          try {
            memory.remember(key, String(nonce), nowMs);
            acceptedAtMs.set(name, nowMs);
          } catch {
            accepted = false;
          }
          if (accepted && since < lifetimeMs) return false;
          if (!accepted && since > 2 * lifetimeMs) return false;
        }
        return true;
      }),
    );
  });

  it('has room again after two lifetimes, and says when to come back', async () => {
    const memory = new NonceMemory(1000, { maxNonces: 2, maxNoncesPerKey: 1 });
    memory.remember('a', '1', 0);
    const refusal = await expectRefusal('auth.too-many-requests', () => memory.remember('a', '2', 10));
    expect(refusal).to.be.instanceOf(RetryLaterError);
    expect((refusal as RetryLaterError).retryAfterMs).to.be.greaterThan(0);
    memory.remember('b', '1', 10);
    await expectRefusal('server.overloaded', () => memory.remember('c', '1', 20));
    memory.remember('a', '2', 2000);
    memory.remember('c', '1', 2000);
  });
});
