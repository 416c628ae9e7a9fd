/** Custodians' answers, counted: what they hold is the owner's to see. */
import { RefusedError } from '../../errors.js';
import type { EventOf } from './events.js';
import { shortReason } from './fields.js';
import { requireRunning } from './moves.js';
import type { RoundState } from './state.js';

/**
 * Takes the answer of a custodian; its first one is its only one. Answers beyond the threshold help the owner to find who
 * answered wrongly.
 *
 * @throws RefusedError `round.unknown-custodian`, `round.another-answer`, `round.ended`, `round.not-summed`,
 *   `round.answer-for-another-set`
 */
export function receiveAnswer(state: RoundState, event: EventOf<'answer-received'>): RoundState {
  const { custodian, fingerprint, atMs } = event;
  requireCustodian(state, custodian);
  const earlier = state.answers.find((answer) => answer.custodian === custodian);
  if (earlier?.fingerprint === fingerprint) return state;
  if (earlier !== undefined) {
    throw new RefusedError(
      'round.another-answer',
      `Custodian "${custodian}" has given another answer, ${earlier.fingerprint}. Send the stored answer, not a new one.`,
    );
  }
  if (requireAggregate(state).set !== event.set) {
    throw new RefusedError(
      'round.answer-for-another-set',
      `The answer of "${custodian}" is for another set than the aggregate's. Answer for the aggregate that the round has.`,
    );
  }
  return {
    ...state,
    answers: [...state.answers, { custodian, fingerprint, atMs }],
    custodianRefusals: state.custodianRefusals.filter((refusal) => refusal.custodian !== custodian),
  };
}

/**
 * Takes note that a custodian refuses; it may still answer. Its last refusal is kept, and none once it has answered.
 *
 * @throws RefusedError `round.unknown-custodian`, `round.ended`, `round.not-summed`
 */
export function noteCustodianRefusal(state: RoundState, event: EventOf<'answer-refused'>): RoundState {
  const { custodian, code, reason, atMs } = event;
  requireCustodian(state, custodian);
  if (state.answers.some((answer) => answer.custodian === custodian)) return state;
  requireAggregate(state);
  const earlier = state.custodianRefusals.find((refusal) => refusal.custodian === custodian);
  if (earlier !== undefined && (earlier.code === code || earlier.atMs >= atMs)) return state;
  const others = state.custodianRefusals.filter((refusal) => refusal !== earlier);
  return {
    ...state,
    custodianRefusals: [...others, { custodian, code, reason: shortReason(reason), atMs }],
  };
}

function requireCustodian({ settings }: RoundState, custodian: string): void {
  if (settings.custodians.includes(custodian)) return;
  throw new RefusedError(
    'round.unknown-custodian',
    `"${custodian}" is no custodian of this round. Look at the roster that its plan names.`,
  );
}

function requireAggregate(state: RoundState): NonNullable<RoundState['aggregate']> {
  requireRunning(state);
  if (state.aggregate === undefined) {
    throw new RefusedError('round.not-summed', 'The round has no aggregate yet. Answer when it has one.');
  }
  return state.aggregate;
}
