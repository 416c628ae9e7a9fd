/** Where the time of a round went: each stage begins where the medians of those before it end. */
import type { Waterfall as Stages, WaterfallBar } from '../../model/efficiency.js';
import { formatDuration } from '../../model/format.js';

export function Waterfall({ stages }: { readonly stages: Stages }) {
  return (
    <ol class="waterfall">
      {stages.bars.map((bar, index) => (
        <li key={bar.stage}>
          <span class="waterfall-stage">{bar.stage}</span>
          <span class="waterfall-track" aria-hidden="true">
            <span class={`waterfall-bar fill-${(index % 7) + 1}`} style={placeOf(bar, stages.totalMs)} />
          </span>
          <span class="waterfall-value">
            {formatDuration(bar.spread.median)}
            <span class="muted">{rangeOf(bar)}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}

function placeOf({ startMs, spread }: WaterfallBar, totalMs: number): { left: string; width: string } {
  const whole = totalMs || 1;
  return { left: `${(startMs / whole) * 100}%`, width: `${(spread.median / whole) * 100}%` };
}

function rangeOf({ spread: { count, minimum, maximum } }: WaterfallBar): string {
  return count === 1
    ? ' once'
    : ` median of ${count}, ${formatDuration(minimum)} to ${formatDuration(maximum)}`;
}
