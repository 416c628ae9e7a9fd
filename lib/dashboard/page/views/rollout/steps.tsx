/** The steps of a rollout: how much of the fleet each one is. */
import { formatDuration } from '../../../model/format.js';
import type { RolloutStatus } from '../../../model/reported.js';
import { stepsOf } from '../../../model/rollout-commands.js';

const WORDS = { done: 'reached', current: 'under way', 'to-come': 'to come' } as const;

export function Steps({ status }: { readonly status: RolloutStatus }) {
  const { plan, progress } = status;
  const steps = stepsOf(
    plan.steps.map(({ percent }) => percent),
    status,
  );
  return (
    <ol class="stages steps">
      {steps.map(({ index, percent, standing }) => (
        <li
          key={index}
          class={`stage ${standing}`}
          aria-current={standing === 'current' ? 'step' : undefined}
        >
          <span class="stage-title">{`${percent} %`}</span>
          <span class="stage-standing">{index === 0 ? `canary, ${WORDS[standing]}` : WORDS[standing]}</span>
          <span class="stage-time">
            {standing === 'current' &&
              progress !== undefined &&
              `watched for ${formatDuration(progress.watchedSeconds * 1000)}`}
          </span>
        </li>
      ))}
    </ol>
  );
}
