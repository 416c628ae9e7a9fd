/** Events as a busy, unreliable world sends them: some fit the state of the round, some come twice, late or not in order. */
import fc from 'fast-check';
import { dueAtMs } from '../../../../lib/round/machine/deadlines.js';
import type { RoundEvent } from '../../../../lib/round/machine/events.js';
import {
  acceptedUpdates,
  digestOfSet,
  type RoundState,
  sentUpdates,
} from '../../../../lib/round/machine/state.js';
import { BURNT, clients, fingerprint } from './test-round.js';

/** What happens next; the numbers choose among what the state then has. */
export interface Intent {
  readonly kind: (typeof KINDS)[number];
  readonly pick: number;
  readonly other: number;
  /** Kept back: it comes when a `replay` picks it. */
  readonly delayed: boolean;
  /** By how much the clock of the process that saw it is slow; less than a lease. */
  readonly slowMs: number;
}

const KINDS = [
  'receive',
  'receive-partial-sum',
  'refuse-upload',
  'wait',
  'wait-a-little',
  'open',
  'claim',
  'judge',
  'finish',
  'fail-sum',
  'answer',
  'refuse-answer',
  'close',
  'close-none',
  'release',
  'abort',
  'replay',
] as const;

const WEIGHTS: Readonly<Record<Intent['kind'], number>> = {
  receive: 24,
  'receive-partial-sum': 8,
  'refuse-upload': 3,
  wait: 5,
  'wait-a-little': 4,
  open: 2,
  claim: 8,
  judge: 3,
  finish: 8,
  'fail-sum': 2,
  answer: 8,
  'refuse-answer': 3,
  close: 3,
  'close-none': 3,
  release: 4,
  abort: 1,
  replay: 16,
};

const intent: fc.Arbitrary<Intent> = fc.record({
  kind: fc.oneof(...KINDS.map((kind) => ({ weight: WEIGHTS[kind], arbitrary: fc.constant(kind) }))),
  pick: fc.nat(999),
  other: fc.nat(999),
  delayed: fc.nat(9).map((digit) => digit === 0),
  slowMs: fc.oneof(fc.constant(0), fc.nat(500)),
});

function plain(kind: Intent['kind'], pick = 0): Intent {
  return { kind, pick, other: 5, delayed: false, slowMs: 0 };
}

/** How an ordinary round begins, until something happens to it: else most rounds would end before they are sealed off. */
const ORDINARY: readonly Intent[] = [
  plain('open'),
  ...[0, 1, 2].map((pick) => plain('receive', pick)),
  plain('wait'),
  plain('claim'),
  plain('finish'),
];

export const intents: fc.Arbitrary<Intent[]> = fc
  .tuple(
    fc.oneof(fc.nat(ORDINARY.length), fc.constant(ORDINARY.length)),
    fc.array(intent, { minLength: 1, maxLength: 40, size: 'max' }),
  )
  .map(([ordinary, others]) => [...ORDINARY.slice(0, ordinary), ...others]);

export class World {
  nowMs: number;
  /** Every event there was, delivered or not. */
  readonly history: RoundEvent[] = [];

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  /** The event that an intent comes to, or undefined where none is delivered now. */
  next(state: RoundState, intent: Intent): RoundEvent | undefined {
    if (intent.kind === 'replay') return this.history[intent.pick % Math.max(1, this.history.length)];
    if (intent.kind === 'wait') this.nowMs = Math.max(this.nowMs, dueAtMs(state) ?? this.nowMs);
    if (intent.kind === 'wait-a-little') this.nowMs += intent.pick * 40;
    this.nowMs += 1;
    const event = eventOf(state, intent, Math.max(0, this.nowMs - intent.slowMs));
    this.history.push(event);
    return intent.delayed ? undefined : event;
  }
}

function eventOf(state: RoundState, { kind, pick, other }: Intent, atMs: number): RoundEvent {
  const name = clients(6)[pick % 6] as string;
  const custodian = ['custodian-1', 'custodian-2', 'custodian-3', 'stranger'][pick % 4] as string;
  const worker = `worker-${(pick % 2) + 1}`;
  // Mostly the attempt that is under way.
  const attempt = other % 5 === 0 ? 1 + (pick % 3) : (state.sum?.attempt ?? 1);
  switch (kind) {
    case 'receive':
      return {
        type: 'update-received',
        atMs,
        client: name,
        fingerprint: fingerprint(`${name} ${other % 3}`),
        ...(other % 7 === 0 && { stalenessRounds: other % 6 }),
      };
    case 'receive-partial-sum':
      return partialSumOf(pick, other, atMs);
    case 'refuse-upload':
      return {
        type: 'update-refused',
        atMs,
        client: name,
        fingerprint: fingerprint(`bad ${other % 2}`),
        code: 'update.digest-mismatch',
        reason: 'bad',
      };
    case 'open':
      return { type: 'open', atMs };
    case 'claim':
      return { type: 'sum-claimed', atMs, worker, attempt };
    case 'judge':
      return {
        type: 'outliers-judged',
        atMs,
        action: other % 2 === 0 ? 'flag' : 'refuse',
        flagged: sentUpdates(state)
          .filter((_, i) => i % 3 === pick % 3)
          .map(({ update }) => ({
            fingerprint: update.fingerprint,
            test: 'a-test',
            reason: `reason ${other}`,
          })),
      };
    case 'finish':
      return finishOf(state, worker, pick, other, atMs);
    case 'fail-sum':
      return {
        type: 'sum-failed',
        ...{ atMs, worker: state.sum?.worker ?? worker, attempt },
        ...{ code: 'storage.failed', reason: 'full', retryable: other % 4 !== 0 },
      };
    case 'answer':
      return {
        type: 'answer-received',
        atMs,
        custodian,
        fingerprint: fingerprint(`answer ${custodian} ${other % 5 === 0}`),
        set: other % 7 === 0 ? fingerprint('another set') : (state.aggregate?.set ?? fingerprint('no set')),
      };
    case 'refuse-answer':
      return { type: 'answer-refused', atMs, custodian, code: 'custodian.refused', reason: 'no' };
    case 'close':
      return closeOf(state, other, atMs);
    case 'close-none':
      return {
        type: 'closed',
        atMs,
        record: fingerprint(`record ${pick % 3}`),
        opened: [],
        reason: other % 2 === 0 ? BURNT : 'the owner said so',
      };
    case 'release':
      return { type: 'released', atMs, release: fingerprint(`release ${pick % 2}`) };
    case 'abort':
      return { type: 'abort', atMs, reason: `reason ${pick % 2}` };
    default:
      return { type: 'time', atMs };
  }
}

/** An aggregate of the sent updates, some of them refused, and now and then of a wrong set. */
function finishOf(state: RoundState, worker: string, pick: number, other: number, atMs: number): RoundEvent {
  const sent = sentUpdates(state).map(({ update }) => update.fingerprint);
  const accepted = sent.filter((_, i) => other % 3 !== 0 || i !== pick % 6);
  const refused = sent
    .filter((one) => !accepted.includes(one))
    .map((one) => ({ fingerprint: one, code: 'update.bad-shares', reason: 'bad' }));
  if (other % 8 === 1) accepted.push(fingerprint('stranger'));
  if (other % 8 === 2) accepted.splice(0, 1);
  return { type: 'sum-finished', atMs, worker, aggregate: fingerprint(`of ${worker}`), accepted, refused };
}

function closeOf(state: RoundState, other: number, atMs: number): RoundEvent {
  const accepted = acceptedUpdates(state).map(({ update }) => update.fingerprint);
  const opened = other % 4 === 0 || accepted.length === 0 ? [fingerprint('stranger')] : accepted;
  const record = fingerprint(`record ${other % 3}`);
  return { type: 'closed', atMs, record, opened, set: digestOfSet(opened) };
}

/** Of one of two gateways, with the updates of some clients: of the same choice the same sum. */
function partialSumOf(pick: number, other: number, atMs: number): RoundEvent {
  const gateway = `gateway-${(pick % 2) + 1}`;
  const chosen = clients(6).filter((_, i) => ((1 + (other % 63)) >> i) & 1);
  const contributors = chosen.map((client, i) => ({
    client,
    fingerprint: fingerprint(`${client} ${(pick >> i) % 8 === 0 ? 1 : 0}`),
  }));
  const name = [gateway, ...contributors.map(({ fingerprint: one }) => one)].join(' ');
  return { type: 'partial-sum-received', atMs, gateway, fingerprint: fingerprint(name), contributors };
}
