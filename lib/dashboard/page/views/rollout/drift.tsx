/** What each client is to run, and what it says that it runs. */
import { formatNumber, plural } from '../../../model/format.js';
import type { RolloutStatus } from '../../../model/reported.js';
import { Card } from '../../parts/card.js';
import { Pill, type Tone } from '../../parts/pill.js';
import { Table } from '../../parts/table.js';
import { Age } from '../../parts/time.js';

type Client = RolloutStatus['drift'][number];

const TONES: Readonly<Record<Client['status'], Tone>> = {
  'as-expected': 'good',
  'same-adapter': 'good',
  'not-reported': 'neutral',
  'other-adapter': 'warning',
  'withdrawn-adapter': 'bad',
};
const WORDS: Readonly<Record<Client['status'], string>> = {
  'as-expected': 'as expected',
  'same-adapter': 'same adapter, other release',
  'not-reported': 'not reported',
  'other-adapter': 'another adapter',
  'withdrawn-adapter': 'a withdrawn adapter',
};
/** What needs looking at stands first. */
const ORDER: readonly Client['status'][] = [
  'withdrawn-adapter',
  'other-adapter',
  'not-reported',
  'same-adapter',
  'as-expected',
];
const MAX_ROWS = 50;

export function Drift({ status }: { readonly status: RolloutStatus }) {
  const rows = [...status.drift].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));
  return (
    <Card title="Who runs what" aside={<span class="muted">{plural(rows.length, 'client')}</span>}>
      <Table
        label="What clients are to run, and what they run"
        columns={[
          { title: 'Client', cell: ({ client }) => client },
          { title: 'Is to run', isNumeric: true, cell: ({ expected }) => `#${expected.counter}` },
          {
            title: 'Runs',
            isNumeric: true,
            cell: ({ reported }) => (reported === undefined ? '–' : `#${reported.counter}`),
          },
          {
            title: 'Standing',
            cell: (client) => <Pill tone={TONES[client.status]}>{WORDS[client.status]}</Pill>,
          },
          {
            title: 'Last report',
            cell: ({ lastSeenMs }) =>
              lastSeenMs === undefined ? <span class="muted">none</span> : <Age atMs={lastSeenMs} />,
          },
        ]}
        rows={rows.slice(0, MAX_ROWS)}
        keyOf={({ client }) => client}
      />
      {rows.length > MAX_ROWS && (
        <p class="muted">{`${formatNumber(rows.length - MAX_ROWS)} more are not listed.`}</p>
      )}
    </Card>
  );
}
