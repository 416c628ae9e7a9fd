/** The stages of a round, in the order in which it goes through them. */
import { formatClock, formatDuration, formatSpan, formatTime } from '../../model/format.js';
import type { RoundStatus } from '../../model/reported.js';
import { type Stage, stagesOf } from '../../model/round-progress.js';
import { useNow } from '../hooks.js';

const WORDS: Readonly<Record<Stage['standing'], string>> = {
  done: 'done',
  current: 'under way',
  failed: 'failed here',
  'to-come': 'to come',
  skipped: 'not reached',
};

export function Stages({ round }: { readonly round: RoundStatus }) {
  return (
    <ol class="stages">
      {stagesOf(round).map((stage) => (
        <li
          key={stage.phase}
          class={`stage ${stage.standing}`}
          aria-current={stage.standing === 'current' ? 'step' : undefined}
        >
          <span class="stage-title">{stage.title}</span>
          <span class="stage-standing">{WORDS[stage.standing]}</span>
          <span class="stage-time">
            {stage.enteredAtMs !== undefined && <StageTime stage={stage} enteredAtMs={stage.enteredAtMs} />}
          </span>
        </li>
      ))}
    </ol>
  );
}

function StageTime({ stage, enteredAtMs }: { readonly stage: Stage; readonly enteredAtMs: number }) {
  const now = useNow();
  const { durationMs, standing } = stage;
  const lasts = standing === 'current' ? formatSpan(now - enteredAtMs) : `at ${formatClock(enteredAtMs)}`;
  return (
    <time dateTime={new Date(enteredAtMs).toISOString()} title={formatTime(enteredAtMs)}>
      {durationMs === undefined ? lasts : formatDuration(durationMs)}
    </time>
  );
}
