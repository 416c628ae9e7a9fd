/** The stored form of a round's state. */
import { deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { MAX_ROUND_CLIENTS, type RoundSettings } from '../../../lib/round/machine/settings.js';
import {
  decodeRoundState,
  encodeRoundState,
  plannedRound,
  type RoundState,
  sentUpdates,
} from '../../../lib/round/machine/state.js';
import { MAX_VALUE_BYTES } from '../../../lib/store/limits.js';
import { expectRefusal } from '../../support/refusals.js';
import { largestState } from './support/largest-state.js';
import { clients, DEADLINE_MS, fingerprint, OPENS_MS, settings, TestRound } from './support/test-round.js';

const stored = (value: unknown): Uint8Array => deflateRawSync(JSON.stringify(value));

describe('the settings of a round', () => {
  const bad: [string, Partial<RoundSettings>][] = [
    ['close before they open', { deadlineMs: OPENS_MS }],
    ['have a quorum of one', { quorum: 1 }],
    ['have a quorum that the round cannot hold', { quorum: 4, maxClients: 3 }],
    ['have a quorum that the clients cannot reach', { quorum: 4, eligible: clients(3) }],
    ['have a threshold that the custodians cannot reach', { threshold: 4 }],
    ['name a client twice', { eligible: ['a', 'b', 'c', 'a'] }],
    ['name a custodian twice', { custodians: ['a', 'b', 'a'] }],
    ['name a client as no file can be called', { eligible: ['a', 'b', '../c'] }],
    ['have more clients than a state holds', { eligible: clients(MAX_ROUND_CLIENTS + 1) }],
    ['have rounds that follow each other within minutes', { roundIntervalSeconds: 599 }],
    ['have rounds that are days apart', { roundIntervalSeconds: 86_401 }],
    ['have no attempt to sum', { maxSumAttempts: 0 }],
    ['name a plan by something else than its fingerprint', { plan: 'plan' }],
  ];
  for (const [what, changes] of bad) {
    it(`are refused when they ${what}`, async () => {
      await expectRefusal('round.bad-settings', () => plannedRound(settings(changes), 0));
    });
  }
});

describe('the stored state of a round', () => {
  it('is refused with a name for what another version wrote', async () => {
    const state = { ...new TestRound().state, schemaVersion: 2, added: true };
    const error = await expectRefusal('round.state-version', () => decodeRoundState(stored(state)));
    expect(error.message).to.contain('version 2');
  });

  it('is refused where it is no JSON, no text or no state', async () => {
    const utf8 = (text: string) => new TextEncoder().encode(text);
    const bad = [
      new Uint8Array(),
      utf8(JSON.stringify(new TestRound().state)),
      deflateRawSync(new Uint8Array([0xff])),
      deflateRawSync(utf8('{')),
      encodeRoundState(new TestRound().state).subarray(0, -1),
      // A bomb.
      deflateRawSync(Buffer.alloc(5 * 1024 * 1024, ' ')),
      stored(null),
      stored({}),
    ];
    for (const bytes of bad) {
      await expectRefusal('round.state-malformed', () => decodeRoundState(bytes));
    }
  });

  const summed = TestRound.summed(4, ['client-2']).state;
  const sealed = TestRound.sealedOff().state;
  const failed = TestRound.opened();
  failed.passTo(DEADLINE_MS);
  const withoutMember = (state: RoundState) => ({ ...state, members: state.members.slice(1) });
  const contradictory: [string, () => unknown][] = [
    ['has a field that is unknown', () => ({ ...sealed, more: 1 })],
    ['has lost an update of its sealed set', () => withoutMember(sealed)],
    ['has lost an update of its accepted set', () => withoutMember(summed)],
    [
      'has another update in its sealed set',
      () => ({
        ...sealed,
        members: sealed.members.with(0, {
          client: 'client-1',
          update: { fingerprint: fingerprint('another'), receivedAtMs: OPENS_MS },
        }),
      }),
    ],
    [
      'has one update twice',
      () => ({
        ...sealed,
        members: sealed.members.with(0, { client: 'client-1', update: sentUpdates(sealed)[1]?.update }),
      }),
    ],
    ['has a client twice', () => ({ ...sealed, members: sealed.members.with(4, { client: 'client-1' }) })],
    ['is sealed off without a set', () => ({ ...sealed, sealed: undefined })],
    ['is sealed off without a sum to do', () => ({ ...sealed, sum: undefined })],
    ['is open and has a sealed set', () => ({ ...sealed, phase: 'open' })],
    ['is sealed off below the quorum', () => ({ ...sealed, settings: { ...sealed.settings, quorum: 5 } })],
    ['holds more than it may', () => ({ ...sealed, settings: { ...sealed.settings, maxClients: 3 } })],
    ['waits for answers without an aggregate', () => ({ ...summed, aggregate: undefined })],
    ['is summing and has an aggregate', () => ({ ...summed, phase: 'summing' })],
    ['is opened without a close record', () => ({ ...summed, phase: 'opened' })],
    [
      'waits for answers and is closed',
      () => ({ ...summed, close: { record: fingerprint('record'), opened: true } }),
    ],
    ['has failed without a reason', () => ({ ...failed.state, failure: undefined })],
    ['has failed, but goes on', () => ({ ...failed.state, phase: 'planned' })],
    ['has a release of nothing', () => ({ ...summed, release: { fingerprint: fingerprint('release') } })],
    [
      'has two answers of one custodian',
      () => ({
        ...summed,
        answers: ['a', 'b'].map((name) => ({
          custodian: 'custodian-1',
          fingerprint: fingerprint(name),
          atMs: 1,
        })),
      }),
    ],
  ];
  for (const [what, damaged] of contradictory) {
    it(`is refused when it ${what}`, async () => {
      await expectRefusal('round.state-malformed', () => decodeRoundState(stored(damaged())));
    });
  }

  it('fits a value of the store at its largest', () => {
    const state = largestState();
    const encoded = encodeRoundState(state);
    expect(encoded.length).to.be.at.most(MAX_VALUE_BYTES);
    expect(decodeRoundState(encoded)).to.deep.equal(state);
  });
});
