/** The clients: how they do, when they were last heard of, what they run. */
import { useMemo, useState } from 'preact/hooks';
import {
  FIRST_QUERY,
  type FleetQuery,
  fleetPage,
  fleetSummary,
  type HealthGrade,
  healthGrade,
  lowestScore,
  type SortKey,
  sortedBy,
} from '../../model/fleet-table.js';
import { formatNumber, plural, shortFingerprint } from '../../model/format.js';
import { CLIENTS_PATH } from '../../model/paths.js';
import type { ClientList, ClientView } from '../../model/reported.js';
import { useResource } from '../hooks.js';
import { Card } from '../parts/card.js';
import { type Figure, Figures } from '../parts/figures.js';
import { Notice } from '../parts/notice.js';
import { Pill, type Tone } from '../parts/pill.js';
import { Reading } from '../parts/reading.js';
import { type Column, Table } from '../parts/table.js';
import { Age } from '../parts/time.js';

const GRADE_TONES: Readonly<Record<HealthGrade, Tone>> = {
  healthy: 'good',
  unsteady: 'warning',
  failing: 'bad',
  'left out': 'bad',
  'not observed': 'neutral',
};

export function FleetView() {
  const clients = useResource<ClientList>(CLIENTS_PATH);
  return (
    <Reading snapshot={clients} what="the clients">
      {(answer) => <Fleet clients={answer.clients} />}
    </Reading>
  );
}

function Fleet({ clients }: { readonly clients: readonly ClientView[] }) {
  const [query, setQuery] = useState<FleetQuery>(FIRST_QUERY);
  const page = useMemo(() => fleetPage(clients, query), [clients, query]);
  const figures = useMemo(() => figuresOf(clients), [clients]);
  if (clients.length === 0) {
    return (
      <Notice
        title="No client is enrolled"
        advice="Each robot makes its keys where it lives; the owner enrols it."
        command={
          'tensorguard-native client init DIR --id robot-1 --fleet NAME\ntensorguard-native fleet enroll ...'
        }
      />
    );
  }
  return (
    <>
      <Figures figures={figures} />
      <Card
        title="Clients"
        aside={
          <label class="search">
            <span class="hidden">Find a client</span>
            <input
              type="search"
              placeholder="Find a client"
              value={query.text}
              onInput={({ currentTarget }) => setQuery({ ...query, text: currentTarget.value, page: 0 })}
            />
          </label>
        }
      >
        <Table
          label="Clients of the fleet"
          columns={columnsOf(query, setQuery)}
          rows={page.rows}
          keyOf={({ client }) => client}
        />
        <div class="pages">
          <span class="muted" role="status">
            {page.found === clients.length
              ? plural(page.found, 'client')
              : `${formatNumber(page.found)} of ${plural(clients.length, 'client')}`}
          </span>
          {page.pages > 1 && (
            <span class="page-buttons">
              <button
                type="button"
                disabled={page.page === 0}
                onClick={() => setQuery({ ...query, page: page.page - 1 })}
              >
                Previous
              </button>
              <span>{`Page ${page.page + 1} of ${page.pages}`}</span>
              <button
                type="button"
                disabled={page.page === page.pages - 1}
                onClick={() => setQuery({ ...query, page: page.page + 1 })}
              >
                Next
              </button>
            </span>
          )}
        </div>
      </Card>
    </>
  );
}

function figuresOf(clients: readonly ClientView[]): Figure[] {
  const summary = fleetSummary(clients, Date.now());
  const grade = (name: HealthGrade): number => summary.grades.get(name) ?? 0;
  const troubled = grade('failing') + grade('left out');
  const [newest] = summary.releases;
  return [
    {
      label: 'Enrolled',
      value: formatNumber(summary.clients),
      note: `${formatNumber(summary.active)} active`,
    },
    {
      label: 'Heard of lately',
      value: formatNumber(summary.recent),
      note: summary.never === 0 ? 'in the last 10 min' : `${formatNumber(summary.never)} never`,
    },
    {
      label: 'Healthy',
      value: formatNumber(grade('healthy')),
      note: `${formatNumber(grade('unsteady'))} unsteady, ${formatNumber(troubled)} failing or left out`,
    },
    {
      label: 'Newest release that runs',
      value: newest === undefined ? '–' : `#${newest.counter}`,
      note:
        newest === undefined
          ? 'no robot has reported one'
          : `on ${formatNumber(newest.clients)} of ${formatNumber(summary.reported)} that reported`,
    },
  ];
}

function columnsOf(query: FleetQuery, setQuery: (query: FleetQuery) => void): Column<ClientView>[] {
  const sortable = (key: SortKey) => ({
    sorted: query.sortBy === key ? query.direction : undefined,
    onSort: () => setQuery(sortedBy(query, key)),
  });
  return [
    { title: 'Client', cell: ({ client }) => client, ...sortable('client') },
    {
      title: 'Standing',
      cell: ({ standing }) => <Pill tone={standing === 'active' ? 'good' : 'bad'}>{standing}</Pill>,
      ...sortable('standing'),
    },
    { title: 'Health', cell: (client) => <Health client={client} />, ...sortable('health') },
    {
      title: 'Last seen',
      cell: ({ lastSeenMs }) =>
        lastSeenMs === undefined ? <span class="muted">never</span> : <Age atMs={lastSeenMs} />,
      ...sortable('lastSeen'),
    },
    {
      title: 'Runs release',
      cell: ({ lastReport }) => {
        const runs = lastReport?.report.runs;
        if (runs === undefined) {
          return <span class="muted">{lastReport === undefined ? 'not reported' : 'none'}</span>;
        }
        return (
          <>
            {`#${runs.counter} `}
            <code class="muted" title={runs.adapterFingerprint}>
              {shortFingerprint(runs.adapterFingerprint)}
            </code>
          </>
        );
      },
      ...sortable('release'),
    },
    {
      title: 'Policy',
      cell: ({ lastReport }) => lastReport?.report.policy ?? <span class="muted">not reported</span>,
      ...sortable('policy'),
    },
  ];
}

function Health({ client }: { readonly client: ClientView }) {
  const grade = healthGrade(client);
  const score = lowestScore(client);
  return (
    <Pill tone={GRADE_TONES[grade]}>
      {grade}
      {score !== undefined && <span class="muted">{` ${score.toFixed(2)}`}</span>}
    </Pill>
  );
}
