/** What the robots of a step report, held against the conditions of the plan. */
import { formatNumber, plural } from '../../../model/format.js';
import type { RolloutStatus } from '../../../model/reported.js';
import { Interval } from '../../charts/interval.js';
import { Card } from '../../parts/card.js';
import { Pill, type Tone } from '../../parts/pill.js';
import { Table } from '../../parts/table.js';

const TONES: Readonly<Record<'passed' | 'failed' | 'inconclusive', Tone>> = {
  passed: 'good',
  failed: 'bad',
  inconclusive: 'warning',
};

export function Analysis({ status }: { readonly status: RolloutStatus }) {
  const { analysis, progress } = status;
  if (analysis === undefined) return null;
  return (
    <Card
      title="Telemetry of the step"
      aside={<Pill tone={TONES[analysis.outcome]}>{analysis.outcome}</Pill>}
    >
      <Table
        label="Conditions of the step"
        columns={[
          { title: 'Metric', cell: ({ condition }) => condition.metric },
          { title: 'Outcome', cell: ({ outcome }) => <Pill tone={TONES[outcome]}>{outcome}</Pill> },
          {
            title: 'Interval',
            cell: ({ condition, bounds, outcome }) =>
              Number.isFinite(bounds.lower) && Number.isFinite(bounds.upper) ? (
                <Interval interval={{ ...bounds, bound: condition.threshold }} tone={TONES[outcome]} />
              ) : (
                <span class="muted">not reported</span>
              ),
          },
          {
            title: 'Bound',
            cell: ({ condition: { must, threshold } }) =>
              `${must === 'be-at-least' ? 'at least' : 'at most'} ${formatNumber(threshold)}`,
          },
        ]}
        rows={analysis.conditions}
        keyOf={({ condition: { metric, must } }) => `${metric} ${must}`}
      />
      <p class="muted">
        {`From ${plural(Math.round(analysis.episodes), 'episode')}.`}
        {progress !== undefined &&
          ` ${plural(progress.failures, 'failed analysis', 'failed analyses')}, ${plural(progress.inconclusives, 'inconclusive one')} so far.`}
        {progress?.breached === true && ' The step has broken its limits.'}
      </p>
    </Card>
  );
}
