/** What each site has spent of its privacy budget, and what is left. */
import { useMemo } from 'preact/hooks';
import { formatNumber, formatPercent, plural } from '../../model/format.js';
import { CLIENTS_PATH, recordsPath } from '../../model/paths.js';
import { hashOf } from '../../model/place.js';
import { type BurnDown, burnDown, type SiteBudget, siteBudgets } from '../../model/privacy-budgets.js';
import type { ClientList, RecordOf } from '../../model/reported.js';
import { Bar } from '../charts/bar.js';
import { LineChart } from '../charts/line-chart.js';
import { useResource } from '../hooks.js';
import { Card } from '../parts/card.js';
import { type Figure, Figures } from '../parts/figures.js';
import { Notice } from '../parts/notice.js';
import { Pill, type Tone } from '../parts/pill.js';
import { Reading } from '../parts/reading.js';
import { Table } from '../parts/table.js';
import { Age } from '../parts/time.js';
import type { ViewProperties } from '../view-properties.js';

const TONES: Readonly<Record<SiteBudget['standing'], Tone>> = {
  enough: 'good',
  low: 'warning',
  exhausted: 'bad',
};

export function PrivacyView({ subject }: ViewProperties) {
  const clients = useResource<ClientList>(CLIENTS_PATH);
  const records = useResource<{ records: RecordOf<'privacy'>[] }>(recordsPath('privacy', 2000));
  return (
    <Reading snapshot={clients} what="the privacy budgets">
      {(list) => (
        <Reading snapshot={records} what="the records of privacy budgets">
          {(recorded) => <Privacy clients={list} records={recorded.records} subject={subject} />}
        </Reading>
      )}
    </Reading>
  );
}

function Privacy(properties: {
  readonly clients: ClientList;
  readonly records: readonly RecordOf<'privacy'>[];
  readonly subject: string | undefined;
}) {
  const { clients, records, subject } = properties;
  const budgets = useMemo(() => siteBudgets(clients.clients, records), [clients, records]);
  const chosen = budgets.find(({ client }) => client === subject) ?? budgets[0];
  if (chosen === undefined) {
    return (
      <Notice
        title="No site has reported a privacy budget"
        advice={`Of ${plural(clients.enrolled, 'client')} none has. Budgets are kept by clients whose rounds add noise: plan with --dp, and run the robots' agents, which report what they have spent.`}
        command="tensorguard-native plan --fleet DIR --dp skellam --noise 2 ..."
      />
    );
  }
  const line = burnDown(records, chosen);
  return (
    <>
      <Figures figures={figuresOf(budgets, clients.enrolled)} />
      <Card
        title={`Budget of ${chosen.client}`}
        aside={<span class="muted">{`policy ${chosen.policy}`}</span>}
      >
        {line === undefined ? (
          <p class="muted">The server keeps no record of how it went down.</p>
        ) : (
          <BurnDownChart line={line} site={chosen} />
        )}
      </Card>
      <Card title="Sites" aside={<span class="muted">least left first</span>}>
        <Table
          label="Privacy budgets of the sites"
          columns={[
            {
              title: 'Site',
              cell: ({ client }) => (
                <a
                  href={hashOf('privacy', client)}
                  aria-current={client === chosen.client ? 'true' : undefined}
                >
                  {client}
                </a>
              ),
            },
            { title: 'Policy', cell: ({ policy }) => policy },
            {
              title: 'Spent',
              cell: ({ spentPart, standing, epsilonSpent, epsilonBudget }) => (
                <span class="bar-cell">
                  <Bar part={spentPart} tone={TONES[standing]} />
                  {`ε ${formatNumber(epsilonSpent)} of ${formatNumber(epsilonBudget)}`}
                </span>
              ),
            },
            {
              title: 'Left',
              cell: ({ standing, spentPart }) => (
                <Pill tone={TONES[standing]}>{formatPercent(1 - spentPart)}</Pill>
              ),
            },
            { title: 'δ', isNumeric: true, cell: ({ delta }) => delta.toExponential(0) },
            { title: 'Rounds', isNumeric: true, cell: ({ rounds }) => formatNumber(rounds) },
            {
              title: 'Rounds left',
              isNumeric: true,
              cell: ({ roundsLeft }) => (roundsLeft === undefined ? '–' : formatNumber(roundsLeft)),
            },
            { title: 'Reported', cell: ({ reportedAtMs }) => <Age atMs={reportedAtMs} /> },
          ]}
          rows={budgets.slice(0, MAX_ROWS)}
          keyOf={({ client, policy }) => `${client} ${policy}`}
        />
        {budgets.length > MAX_ROWS && (
          <p class="muted">{`${plural(budgets.length - MAX_ROWS, 'site')} with more left than these are not listed.`}</p>
        )}
      </Card>
    </>
  );
}

const MAX_ROWS = 100;

function figuresOf(budgets: readonly SiteBudget[], enrolled: number): Figure[] {
  const count = (standing: SiteBudget['standing']): number =>
    budgets.filter((budget) => budget.standing === standing).length;
  const left = budgets.flatMap(({ roundsLeft }) => roundsLeft ?? []);
  return [
    {
      label: 'Sites that report',
      value: formatNumber(budgets.length),
      note: `of ${formatNumber(enrolled)} enrolled`,
    },
    { label: 'With enough left', value: formatNumber(count('enough')), note: 'less than 80 % spent' },
    {
      label: 'Low',
      value: formatNumber(count('low')),
      note: `${formatNumber(count('exhausted'))} exhausted`,
    },
    {
      label: 'Fewest rounds left',
      value: left.length === 0 ? '–' : formatNumber(Math.min(...left)),
      note: left.length === 0 ? 'no site has a rate yet' : "at the site's own rate",
    },
  ];
}

function BurnDownChart({ line, site }: { readonly line: BurnDown; readonly site: SiteBudget }) {
  const { rounds, remaining, atThisRate } = line;
  const hasRate = atThisRate.some((value) => value !== undefined);
  const left =
    site.roundsLeft === undefined ? '' : `, enough for ${plural(site.roundsLeft, 'more round')} at this rate`;
  return (
    <>
      <LineChart
        label={`Of epsilon ${formatNumber(site.epsilonBudget)}, ${formatNumber(site.epsilonRemaining)} is left after ${plural(site.rounds, 'round')}${left}`}
        xTitle="rounds paid for"
        x={rounds}
        lines={[
          { label: 'epsilon left', values: remaining, colour: 1 },
          ...(hasRate ? [{ label: 'at this rate', values: atThisRate, colour: 2, isDashed: true }] : []),
        ]}
        format={formatNumber}
      />
      <p class="muted">
        {`ε ${formatNumber(site.epsilonRemaining)} of ${formatNumber(site.epsilonBudget)} is left${left}. `}
        {hasRate && 'Rounds cost less and less by composition: it is the least that is left.'}
      </p>
    </>
  );
}
