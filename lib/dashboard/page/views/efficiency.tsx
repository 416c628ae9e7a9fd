/** What rounds cost: bytes for a parameter, compression, and where the time went. */
import { type RoundCost, roundCosts, waterfallOf } from '../../model/efficiency.js';
import { formatBytes, formatDuration, formatNumber, formatPercent, plural } from '../../model/format.js';
import { recordsPath } from '../../model/paths.js';
import { hashOf } from '../../model/place.js';
import type { RecordOf } from '../../model/reported.js';
import { LineChart } from '../charts/line-chart.js';
import { Waterfall } from '../charts/waterfall.js';
import { useResource } from '../hooks.js';
import { Card } from '../parts/card.js';
import { Figures } from '../parts/figures.js';
import { Notice } from '../parts/notice.js';
import { Reading } from '../parts/reading.js';
import { Table } from '../parts/table.js';
import { Age } from '../parts/time.js';
import type { ViewProperties } from '../view-properties.js';

const KEPT = 500;
const SHOWN_ROUNDS = 30;

export function EfficiencyView({ subject }: ViewProperties) {
  const compression = useResource<{ records: RecordOf<'compression'>[] }>(recordsPath('compression', KEPT));
  const latency = useResource<{ records: RecordOf<'latency'>[] }>(recordsPath('latency', KEPT));
  return (
    <Reading snapshot={compression} what="what rounds cost">
      {({ records }) => (
        <Reading snapshot={latency} what="how long rounds took">
          {(timed) => <Efficiency costs={roundCosts(records)} latencies={timed.records} subject={subject} />}
        </Reading>
      )}
    </Reading>
  );
}

function Efficiency(properties: {
  readonly costs: readonly RoundCost[];
  readonly latencies: readonly RecordOf<'latency'>[];
  readonly subject: string | undefined;
}) {
  const { costs, latencies, subject } = properties;
  const chosen = costs.find(({ plan }) => plan === subject) ?? costs.at(-1);
  if (chosen === undefined) {
    return (
      <Notice
        title="No round has been summed yet"
        advice="The server measures a round when it sums it. Run one: the owner plans, robots seal, and the sum follows."
        command="tensorguard-native owner run --owner DIR --server URL ..."
      />
    );
  }
  const ofPolicy = costs.filter(({ policy }) => policy === chosen.policy).slice(-SHOWN_ROUNDS);
  return (
    <>
      <Figures
        figures={[
          {
            label: 'Bytes a parameter',
            value: chosen.bytesPerParameter.toFixed(3),
            note: `as trained: ${formatNumber(chosen.originalBytesPerParameter)}`,
          },
          {
            label: 'Smaller by',
            value: `${chosen.effectiveRatio.toFixed(2)} ×`,
            note: `ciphertext alone: ${chosen.ratio.toFixed(2)} ×`,
          },
          {
            label: 'Sent in the round',
            value: formatBytes(chosen.wireBytes),
            note: `${plural(chosen.updates, 'update')}, ${formatPercent(chosen.overheadPart)} of it shares and headers`,
          },
          { label: 'Parameters', value: formatNumber(chosen.parameters), note: 'in one adapter' },
        ]}
      />
      <LatencyCard chosen={chosen} latencies={latencies} />
      <Card
        title="Bytes a parameter, round by round"
        aside={<span class="muted">{`policy ${chosen.policy}`}</span>}
      >
        <LineChart
          label={`Bytes a parameter of ${plural(ofPolicy.length, 'round')}; the last one took ${chosen.bytesPerParameter.toFixed(3)}`}
          xTitle="round"
          x={ofPolicy.map(({ round }) => round)}
          lines={[
            {
              label: 'as trained',
              values: ofPolicy.map((cost) => cost.originalBytesPerParameter),
              colour: 2,
            },
            { label: 'sent', values: ofPolicy.map((cost) => cost.bytesPerParameter), colour: 1 },
          ]}
          format={formatNumber}
        />
      </Card>
      <Card title="Rounds">
        <Table
          label="What rounds cost, the latest first"
          columns={[
            {
              title: 'Round',
              cell: ({ plan, round, policy, cohort }) => (
                <a href={hashOf('efficiency', plan)} aria-current={plan === chosen.plan ? 'true' : undefined}>
                  {`${round} · ${policy} · ${cohort}`}
                </a>
              ),
            },
            { title: 'Summed', cell: ({ atMs }) => <Age atMs={atMs} /> },
            { title: 'Updates', isNumeric: true, cell: ({ updates }) => formatNumber(updates) },
            {
              title: 'Bytes a parameter',
              isNumeric: true,
              cell: ({ bytesPerParameter }) => bytesPerParameter.toFixed(3),
            },
            { title: 'Ratio', isNumeric: true, cell: ({ ratio }) => `${ratio.toFixed(2)} ×` },
            {
              title: 'Effective',
              isNumeric: true,
              cell: ({ effectiveRatio }) => `${effectiveRatio.toFixed(2)} ×`,
            },
            { title: 'Sent', isNumeric: true, cell: ({ wireBytes }) => formatBytes(wireBytes) },
          ]}
          rows={[...costs].reverse().slice(0, SHOWN_ROUNDS)}
          keyOf={({ plan }) => plan}
        />
      </Card>
    </>
  );
}

function LatencyCard({
  chosen,
  latencies,
}: {
  readonly chosen: RoundCost;
  readonly latencies: readonly RecordOf<'latency'>[];
}) {
  const stages = waterfallOf(latencies, chosen);
  return (
    <Card
      title={`Where the time of round ${chosen.round} went`}
      aside={<span class="muted">{`${formatDuration(stages.totalMs)} in medians, one after the other`}</span>}
    >
      {stages.bars.length === 0 ? (
        <p class="muted">Nobody has said how long anything took.</p>
      ) : (
        <Waterfall stages={stages} />
      )}
      {stages.missing.length > 0 && (
        <p class="muted">
          {`Not reported: ${stages.missing.join(', ')}. Train, compress and encrypt stand in the updates' headers, upload and apply in robots' reports, decrypt in the owner's.`}
        </p>
      )}
    </Card>
  );
}
