/** What the evaluation found of an adapter, metric by metric. */
import { formatNumber, formatPercent, plural } from '../../../model/format.js';
import { findingsPath } from '../../../model/paths.js';
import type { VerdictFindings } from '../../../model/reported.js';
import { Interval } from '../../charts/interval.js';
import { useResource } from '../../hooks.js';
import { Card } from '../../parts/card.js';
import { Notice } from '../../parts/notice.js';
import { Pill, type Tone } from '../../parts/pill.js';
import { Reading } from '../../parts/reading.js';
import { Table } from '../../parts/table.js';
import { Age } from '../../parts/time.js';

type Metric = VerdictFindings['metrics'][number];

const TONES: Readonly<Record<Metric['outcome'], Tone>> = {
  passed: 'good',
  failed: 'bad',
  inconclusive: 'warning',
  'not-measured': 'warning',
  waived: 'neutral',
  reported: 'neutral',
};

/** @param properties.known fingerprint of the verdict that the rollout was told of */
export function Verdict({
  adapter,
  known,
}: {
  readonly adapter: string;
  readonly known: string | undefined;
}) {
  const findings = useResource<VerdictFindings>(known === undefined ? undefined : findingsPath(known));
  if (known === undefined) {
    return (
      <Card title="Verdict">
        <Notice
          title="There is no verdict on this adapter"
          advice={`Nobody is offered a release without a passed one. Evaluate adapter ${adapter.slice(0, 16)}… against the one before, and send the verdict.`}
          command="tensorguard-native evaluate ADAPTER_DIR --owner DIR --baseline ADAPTER_DIR ..."
        />
      </Card>
    );
  }
  return (
    <Reading snapshot={findings} what="the verdict">
      {(verdict) => <Findings verdict={verdict} />}
    </Reading>
  );
}

function Findings({ verdict }: { readonly verdict: VerdictFindings }) {
  const { outcome, confidence, episodes, attempt, looks, metrics, reasons, atMs } = verdict;
  return (
    <Card title="Verdict" aside={<Pill tone={TONES[outcome]}>{outcome}</Pill>}>
      <Table
        label="What the evaluation found, metric by metric"
        columns={[
          { title: 'Metric', cell: ({ name }) => name },
          { title: 'Outcome', cell: (metric) => <Pill tone={TONES[metric.outcome]}>{metric.outcome}</Pill> },
          { title: 'Interval', cell: (metric) => <MetricInterval metric={metric} /> },
          { title: 'Bound', cell: boundOf },
          {
            title: 'Estimate',
            isNumeric: true,
            cell: ({ estimate }) => (estimate === undefined ? '–' : formatNumber(estimate)),
          },
          { title: 'Episodes', isNumeric: true, cell: (metric) => formatNumber(metric.episodes) },
        ]}
        rows={metrics}
        keyOf={({ name }) => name}
      />
      <p class="muted">
        {`Confidence ${formatPercent(confidence)}, ${plural(episodes, 'episode')}, look ${looks.made} of ${looks.planned}, attempt ${attempt}. Received `}
        <Age atMs={atMs} />.
      </p>
      <ul class="muted">
        {reasons.map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
    </Card>
  );
}

function MetricInterval({ metric }: { readonly metric: Metric }) {
  const { lower, upper, estimate, atLeast, atMost, outcome, reason } = metric;
  if (lower === undefined || upper === undefined) return <span class="muted">{reason}</span>;
  return <Interval interval={{ lower, upper, estimate, bound: atLeast ?? atMost }} tone={TONES[outcome]} />;
}

function boundOf({ atLeast, atMost }: Metric): string {
  if (atLeast !== undefined) return `at least ${formatNumber(atLeast)}`;
  return atMost === undefined ? '–' : `at most ${formatNumber(atMost)}`;
}
