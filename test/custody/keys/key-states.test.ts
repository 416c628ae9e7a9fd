import { expect } from 'chai';
import fc from 'fast-check';
import {
  KEY_STATES,
  type KeyState,
  PERMITTED,
  requireTransition,
  TRANSITIONS,
  wayToDestruction,
} from '../../../lib/custody/keys/key-states.js';
import { TensorGuardError } from '../../../lib/errors.js';

/** The code that `action` is refused with, if it is. */
function refusalOf(action: () => void): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof TensorGuardError) return error.code;
    throw error;
  }
}

const state = fc.constantFrom(...KEY_STATES);

describe('the states of a key', () => {
  it('allow exactly the transitions of the table', () => {
    for (const from of KEY_STATES) {
      for (const to of KEY_STATES) {
        const code = refusalOf(() => requireTransition('kem-1', from, to));
        expect(code, `${from} to ${to}`).to.equal(
          TRANSITIONS[from].includes(to) ? undefined : 'key.bad-transition',
        );
      }
    }
  });

  it('never lead back from compromised to a use, and never out of destroyed', () => {
    fc.assert(
      fc.property(fc.array(state, { maxLength: 12 }), (asked) => {
        let now: KeyState = 'pre-activation';
        let compromised = false;
        for (const to of asked) {
          if (refusalOf(() => requireTransition('kem-1', now, to)) === undefined) now = to;
          compromised ||= now === 'compromised';
          if (compromised) expect(now).to.be.oneOf(['compromised', 'destroyed']);
        }
      }),
    );
  });

  it('protect only while active, and process while active or deactivated', () => {
    const allowed = (use: 'protect' | 'process') => KEY_STATES.filter((each) => PERMITTED[each][use]);
    expect(allowed('protect')).to.deep.equal(['active']);
    expect(allowed('process')).to.deep.equal(['active', 'deactivated']);
  });

  it('all lead to destruction by allowed transitions', () => {
    for (const from of KEY_STATES) {
      let now: KeyState = from;
      for (const next of wayToDestruction(from)) {
        requireTransition('kem-1', now, next);
        now = next;
      }
      expect(now).to.equal('destroyed');
    }
  });
});
