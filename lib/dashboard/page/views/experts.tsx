/** How a mixture of experts weighs the robots: how much of their training touched each expert. */
import { type ExpertWeights, expertWeights } from '../../model/expert-weights.js';
import { formatPercent, plural } from '../../model/format.js';
import { CLIENTS_PATH } from '../../model/paths.js';
import type { ClientList } from '../../model/reported.js';
import { useResource } from '../hooks.js';
import { Card } from '../parts/card.js';
import { Notice } from '../parts/notice.js';
import { Reading } from '../parts/reading.js';
import { type Column, Table } from '../parts/table.js';

const MAX_ROWS = 100;

export function ExpertsView() {
  const clients = useResource<ClientList>(CLIENTS_PATH);
  return (
    <Reading snapshot={clients} what="the experts' weights">
      {(list) => <Experts policies={expertWeights(list.clients)} enrolled={list.enrolled} />}
    </Reading>
  );
}

function Experts({
  policies,
  enrolled,
}: {
  readonly policies: readonly ExpertWeights[];
  readonly enrolled: number;
}) {
  if (policies.length === 0) {
    return (
      <Notice
        title="No client has reported a share of an expert"
        advice={`Of ${plural(enrolled, 'client')} none has. Plan with --experts, and have trainers say how much of their training touched each expert; the robots' agents report it.`}
        command="tensorguard-native plan --fleet DIR --experts ..."
      />
    );
  }
  return (
    <>
      {policies.map((weights) => (
        <PolicyExperts key={weights.policy} weights={weights} />
      ))}
    </>
  );
}

function PolicyExperts({ weights }: { readonly weights: ExpertWeights }) {
  const { policy, experts, clients } = weights;
  const columns: Column<ExpertWeights['clients'][number]>[] = [
    { title: 'Client', cell: ({ client }) => client },
    ...experts.map(({ expert }) => ({
      title: expert,
      isNumeric: true,
      cell: ({ shares }: ExpertWeights['clients'][number]) => {
        const share = shares.get(expert);
        return share === undefined ? '–' : share.toFixed(2);
      },
    })),
  ];
  return (
    <>
      <Card
        title={`Experts of ${policy}`}
        aside={
          <span class="muted">{plural(clients.length, 'client that reported', 'clients that reported')}</span>
        }
      >
        <ul class="experts">
          {experts.map(({ expert, part, clients: count }, index) => (
            <li key={expert}>
              <span class="expert-name">{expert}</span>
              <span class="bar" aria-hidden="true">
                <span class={`bar-part fill-${(index % 7) + 1}`} style={{ width: `${part * 100}%` }} />
              </span>
              <span>
                {formatPercent(part)} <span class="muted">{`from ${plural(count, 'client')}`}</span>
              </span>
            </li>
          ))}
        </ul>
        <p class="muted">
          Parts of all shares that these clients reported. A round weighs each client's update by its own
          share.
        </p>
      </Card>
      <Card title="Shares, client by client">
        <Table
          label={`Shares of the experts of ${policy}`}
          columns={columns}
          rows={clients.slice(0, MAX_ROWS)}
          keyOf={({ client }) => client}
        />
        {clients.length > MAX_ROWS && (
          <p class="muted">{`${plural(clients.length - MAX_ROWS, 'more client')} reported.`}</p>
        )}
      </Card>
    </>
  );
}
