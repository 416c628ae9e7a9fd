/**
 * What the store holds that a rollout was not told of. Routes that store something need not tell it in the same moment, and
 * may die before they do: whoever looks next finds it.
 */
import type { RosterBody } from '../../package/messages/roster.js';
import type { RolloutEvent } from '../../rollout/events.js';
import { hasEnded, type RolloutState } from '../../rollout/state.js';
import type { ReleaseBook } from '../releases/release-book.js';
import type { VerdictBook } from '../verdicts/verdict-book.js';
import { rosterEvents } from './roster-events.js';

export interface ImpliedEventSources {
  readonly verdicts: VerdictBook;
  readonly releases: ReleaseBook;
  readonly roster: () => Pick<RosterBody, 'clients'>;
}

export async function impliedEvents(
  { verdicts, releases, roster }: ImpliedEventSources,
  state: RolloutState,
  atMs: number,
): Promise<RolloutEvent[]> {
  return [
    // First, so that nobody is offered a release who was revoked.
    ...(await ofRoster(releases, state, roster(), atMs)),
    ...(await ofVerdict(verdicts, state, atMs)),
    ...(await ofRollback(releases, state, atMs)),
  ];
}

async function ofRoster(
  releases: ReleaseBook,
  state: RolloutState,
  roster: Pick<RosterBody, 'clients'>,
  atMs: number,
): Promise<RolloutEvent[]> {
  const release = await releases.find(state.plan.release.counter);
  const recipients = release === undefined ? undefined : (await releases.facts(release)).recipients;
  return rosterEvents(state, roster, recipients ?? new Set(state.plan.clients), atMs);
}

/** The first one, or one that failed: no later verdict makes up for that, and a passed one changes nothing that runs. */
async function ofVerdict(verdicts: VerdictBook, state: RolloutState, atMs: number): Promise<RolloutEvent[]> {
  const { phase, plan, verdict: told } = state;
  if (hasEnded(phase) || phase.name === 'rolling-back') return [];
  const { adapterFingerprint } = plan.release;
  const held = await verdicts.on(adapterFingerprint);
  if (held === undefined || told?.verdict === held.fingerprint || told?.outcome === 'failed') return [];
  if (phase.name !== 'pending' && held.outcome !== 'failed') return [];
  return [{ type: 'verdict', atMs, adapterFingerprint, outcome: held.outcome, verdict: held.fingerprint }];
}

/** The owner's releases that go back, the newest first: the machine takes the one that undoes what it has to. */
async function ofRollback(releases: ReleaseBook, state: RolloutState, atMs: number): Promise<RolloutEvent[]> {
  const { phase, plan, rollback } = state;
  if (phase.name !== 'rolling-back' || rollback === undefined || rollback.release !== undefined) return [];
  const events: RolloutEvent[] = [];
  for (const record of await releases.list(plan.policy)) {
    if (record.counter <= plan.release.counter) break;
    const { reference, rollback: back } = await releases.facts(record);
    if (back === undefined || reference.adapterFingerprint !== plan.previous.adapterFingerprint) continue;
    const { to, withdrawn } = back;
    events.push({ type: 'rollback-released', atMs, release: reference, to, withdrawn: [...withdrawn] });
  }
  return events;
}
