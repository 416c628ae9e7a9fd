/** The custodians' keys: epochs, states, what is due, and whether trails are whole. */
import {
  type CustodySummary,
  custodySummary,
  hasReported,
  openBreakGlass,
} from '../../model/custody-table.js';
import { formatNumber, formatTime, plural, shortFingerprint } from '../../model/format.js';
import { CUSTODY_PATH } from '../../model/paths.js';
import type { CustodianView, CustodyList } from '../../model/reported.js';
import { useResource } from '../hooks.js';
import { Card } from '../parts/card.js';
import { type Figure, Figures } from '../parts/figures.js';
import { Notice } from '../parts/notice.js';
import { Pill, type Tone } from '../parts/pill.js';
import { Reading } from '../parts/reading.js';
import { Table } from '../parts/table.js';
import { Age } from '../parts/time.js';

type Key = NonNullable<CustodianView['reported']>['status']['keys'][number];

const KEY_TONES: Readonly<Record<Key['state'], Tone>> = {
  'pre-activation': 'neutral',
  active: 'good',
  suspended: 'warning',
  deactivated: 'neutral',
  compromised: 'bad',
  destroyed: 'neutral',
};

export function KeysView() {
  const custody = useResource<CustodyList>(CUSTODY_PATH);
  return (
    <Reading snapshot={custody} what="the custodians">
      {(list) => (
        <>
          <Figures figures={figuresOf(custodySummary(list), openBreakGlass(list).length)} />
          {list.custodians.map((custodian) => (
            <Custodian key={custodian.custodian} custodian={custodian} />
          ))}
        </>
      )}
    </Reading>
  );
}

function figuresOf(summary: CustodySummary, openUses: number): Figure[] {
  const { custodians, threshold, reporting, broken, nextRotation } = summary;
  return [
    { label: 'Must agree', value: `${threshold} of ${custodians}`, note: 'custodians, to open a round' },
    { label: 'Reporting', value: `${reporting} of ${custodians}`, note: 'custodians whose agent runs' },
    {
      label: 'Next rotation',
      value: nextRotation === undefined ? '–' : <Age atMs={nextRotation.dueAtMs} />,
      note: nextRotation === undefined ? 'no custodian has said' : nextRotation.custodian,
    },
    {
      label: 'Audit trails',
      value: broken.length === 0 ? (reporting === 0 ? '–' : 'whole') : `${broken.length} broken`,
      note:
        openUses === 0
          ? 'no break-glass open'
          : plural(openUses, 'use of break-glass open', 'uses of break-glass open'),
    },
  ];
}

function Custodian({ custodian }: { readonly custodian: CustodianView }) {
  const { custodian: id, epoch } = custodian;
  if (!hasReported(custodian)) {
    return (
      <Card title={id} aside={<Pill tone="neutral">{`epoch ${epoch} in the roster`}</Pill>}>
        <Notice
          title="It has reported nothing"
          advice="Its agent says what its keys are doing. On the custodian's machine:"
          command="tensorguard-native custodian run --custodian DIR --server URL"
        />
      </Card>
    );
  }
  const { receivedAtMs, status } = custodian.reported;
  const { rotation, audit, keys } = status;
  return (
    <Card
      title={id}
      aside={
        <span class="muted">
          {`epoch ${epoch} in the roster · reported `}
          <Age atMs={receivedAtMs} />
        </span>
      }
    >
      <Figures
        figures={[
          {
            label: 'Rotation due',
            value: <Age atMs={rotation.dueAtMs} />,
            note: rotation.pending ? 'the next key waits for a roster' : formatTime(rotation.dueAtMs),
          },
          {
            label: 'Audit trail',
            value: <Pill tone={audit.whole ? 'good' : 'bad'}>{audit.whole ? 'whole' : 'broken'}</Pill>,
            note: plural(audit.entries, 'entry', 'entries'),
          },
          {
            label: 'Audit head',
            value: <code title={audit.head}>{shortFingerprint(audit.head)}</code>,
            note: 'SHA-256 of the last entry',
          },
        ]}
      />
      <Table
        label={`Keys of ${id}`}
        columns={[
          { title: 'Key', cell: ({ name }) => name },
          {
            title: 'Epoch',
            isNumeric: true,
            cell: (key) => (key.epoch === undefined ? '–' : formatNumber(key.epoch)),
          },
          { title: 'State', cell: ({ state }) => <Pill tone={KEY_TONES[state]}>{state}</Pill> },
          { title: 'Made', cell: ({ createdMs }) => <Age atMs={createdMs} /> },
          { title: 'Officers can recover it', cell: ({ recoverable }) => (recoverable ? 'yes' : 'no') },
        ]}
        rows={keys}
        keyOf={({ name }) => name}
      />
      {!audit.whole && (
        <p class="problem">
          {
            'On its machine, tensorguard-native keys audit verify --role DIR names the first entry that does not hold.'
          }
        </p>
      )}
    </Card>
  );
}
