/** A confidence interval against the bound that it has to keep to. */

import { formatNumber } from '../../model/format.js';
import { type IntervalInput, intervalPlaces } from '../../model/interval.js';
import type { Tone } from '../parts/pill.js';

export function Interval({ interval, tone }: { readonly interval: IntervalInput; readonly tone: Tone }) {
  const { start, end, estimate, bound } = intervalPlaces(interval);
  const percent = (part: number): string => `${part * 100}%`;
  return (
    <span class="interval">
      <span class="interval-track" aria-hidden="true">
        <span class={`interval-band ${tone}`} style={{ left: percent(start), width: percent(end - start) }} />
        {estimate !== undefined && <span class="interval-estimate" style={{ left: percent(estimate) }} />}
        {bound !== undefined && <span class="interval-bound" style={{ left: percent(bound) }} />}
      </span>
      <span class="interval-text">{`${formatNumber(interval.lower)} to ${formatNumber(interval.upper)}`}</span>
    </span>
  );
}
