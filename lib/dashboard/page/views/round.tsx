/** One round, stage by stage: who has sent, how far it is from its quorum, what was refused and why. */
import { plural, shortFingerprint } from '../../model/format.js';
import { ROUNDS_PATH } from '../../model/paths.js';
import { hashOf } from '../../model/place.js';
import type { RoundStatus, RoundSummary } from '../../model/reported.js';
import {
  hasEnded,
  PHASE_TITLES,
  quorumRing,
  type RoundPhase,
  refusalsOf,
} from '../../model/round-progress.js';
import { Ring } from '../charts/ring.js';
import { useResource } from '../hooks.js';
import { Card } from '../parts/card.js';
import { type Figure, Figures } from '../parts/figures.js';
import { Notice } from '../parts/notice.js';
import { Pill, type Tone } from '../parts/pill.js';
import { Reading } from '../parts/reading.js';
import { Stages } from '../parts/stages.js';
import { Table } from '../parts/table.js';
import { Age, Countdown } from '../parts/time.js';
import type { ViewProperties } from '../view-properties.js';

const TONES: Readonly<Record<RoundPhase, Tone>> = {
  planned: 'neutral',
  open: 'active',
  'sealed-off': 'active',
  summing: 'active',
  'awaiting-answers': 'active',
  failed: 'bad',
  opened: 'good',
  released: 'good',
};

export function RoundView({ subject }: ViewProperties) {
  const list = useResource<{ rounds: RoundSummary[] }>(ROUNDS_PATH);
  return (
    <Reading snapshot={list} what="the rounds">
      {({ rounds }) => {
        const plan = subject ?? rounds[0]?.plan;
        if (plan === undefined) {
          return (
            <Notice
              title="No round has been planned"
              advice="The owner's agent plans rounds, or a coordinator by hand."
              command="tensorguard-native owner run --owner DIR --server URL ..."
            />
          );
        }
        return (
          <div class="round-columns">
            <RoundList rounds={rounds} plan={plan} />
            <RoundDetail plan={plan} />
          </div>
        );
      }}
    </Reading>
  );
}

function RoundList({ rounds, plan }: { readonly rounds: readonly RoundSummary[]; readonly plan: string }) {
  return (
    <nav class="round-list" aria-label="Rounds, the latest first">
      <ul>
        {rounds.map((round) => (
          <li key={round.plan}>
            <a href={hashOf('round', round.plan)} aria-current={round.plan === plan ? 'true' : undefined}>
              <span class="round-name">
                Round {round.round} <span class="muted">{`${round.policy} · ${round.cohort}`}</span>
              </span>
              <Pill tone={TONES[round.phase]}>{PHASE_TITLES[round.phase]}</Pill>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function RoundDetail({ plan }: { readonly plan: string }) {
  const status = useResource<RoundStatus>(`/v1/rounds/${plan}`);
  return (
    <div class="round-detail">
      <Reading snapshot={status} what="this round">
        {(round) => <Round round={round} />}
      </Reading>
    </div>
  );
}

function Round({ round }: { readonly round: RoundStatus }) {
  const ring = quorumRing(round.received.length, round.quorum, round.eligible);
  return (
    <>
      <Card
        title={`Round ${round.round}`}
        aside={<Pill tone={TONES[round.phase]}>{PHASE_TITLES[round.phase]}</Pill>}
      >
        <div class="round-head">
          <Ring ring={ring} />
          <Figures figures={figuresOf(round)} />
        </div>
        {round.failure !== undefined && (
          <p class="problem">
            <strong>{round.failure.code}</strong>: {round.failure.message}
          </p>
        )}
        <p class="muted fingerprint">
          Plan <code title={round.plan}>{round.plan}</code>
        </p>
      </Card>
      <Card title="Stages">
        <Stages round={round} />
      </Card>
      <Senders round={round} />
      <Refused round={round} />
      <Custodians round={round} />
    </>
  );
}

function figuresOf(round: RoundStatus): Figure[] {
  const isOpen = !hasEnded(round.phase);
  return [
    { label: 'Policy', value: round.policy, note: `cohort ${round.cohort}` },
    {
      label: round.phase === 'open' || round.phase === 'planned' ? 'Deadline in' : 'Deadline',
      value:
        round.phase === 'open' || round.phase === 'planned' ? (
          <Countdown untilMs={round.deadlineMs} />
        ) : (
          <Age atMs={round.deadlineMs} />
        ),
      note: isOpen ? 'updates after it are refused' : undefined,
    },
    {
      label: 'In the sum',
      value: round.aggregate?.accepted ?? 'not yet',
      note:
        round.aggregate === undefined
          ? undefined
          : plural(round.aggregate.refused.length, 'refused', 'refused'),
    },
    {
      label: 'Custodians',
      value: round.answers.length,
      note: `answered, ${round.threshold} must`,
    },
  ];
}

function Senders({ round }: { readonly round: RoundStatus }) {
  const { received, eligible } = round;
  return (
    <Card
      title="Who has sent"
      aside={<span class="muted">{`${received.length} of ${eligible} eligible`}</span>}
    >
      {received.length === 0 ? (
        <Notice
          title="Nobody has sent yet"
          advice="Robots send once they have trained, between the opening and the deadline."
          command="tensorguard-native robot run --client DIR --adapter ADAPTER_DIR --server URL"
        />
      ) : (
        <Table
          label="Updates that were received"
          columns={[
            { title: 'Client', cell: ({ client }) => client },
            { title: 'Received', cell: ({ receivedAtMs }) => <Age atMs={receivedAtMs} /> },
            {
              title: 'Stale by',
              isNumeric: true,
              cell: ({ stalenessRounds = 0 }) =>
                stalenessRounds === 0 ? '–' : plural(stalenessRounds, 'round'),
            },
            { title: 'Through', cell: ({ gateway }) => gateway ?? '–' },
            {
              title: 'Reported statistics',
              cell: ({ outlier }) =>
                outlier === undefined ? (
                  '–'
                ) : (
                  <Pill tone="warning" title={outlier.reason}>
                    {outlier.test}
                  </Pill>
                ),
            },
            { title: 'Update', cell: ({ update }) => <code title={update}>{shortFingerprint(update)}</code> },
          ]}
          rows={received}
          keyOf={({ update }) => update}
        />
      )}
    </Card>
  );
}

function Refused({ round }: { readonly round: RoundStatus }) {
  const lines = refusalsOf(round).map((line, index) => ({ ...line, index }));
  return (
    <Card title="Refused" aside={<span class="muted">{lines.length + round.unlistedRefusals}</span>}>
      {lines.length === 0 ? (
        <p class="muted">Nothing was refused.</p>
      ) : (
        <Table
          label="What was refused, and why"
          columns={[
            { title: 'Who', cell: ({ who }) => who ?? 'unknown' },
            { title: 'Where', cell: ({ stage }) => stage },
            {
              title: 'Why',
              cell: ({ code, reason }) => (
                <>
                  <code>{code}</code> {reason}
                </>
              ),
            },
            { title: 'When', cell: ({ atMs }) => (atMs === undefined ? '' : <Age atMs={atMs} />) },
          ]}
          rows={lines}
          keyOf={({ index }) => String(index)}
        />
      )}
      {round.unlistedRefusals > 0 && (
        <p class="muted">{`The server counted ${plural(round.unlistedRefusals, 'more refusal')} without keeping them.`}</p>
      )}
    </Card>
  );
}

function Custodians({ round }: { readonly round: RoundStatus }) {
  return (
    <Card title="Custodians' answers">
      {round.answers.length === 0 ? (
        <p class="muted">
          {round.aggregate === undefined
            ? 'They are asked once there is a sum.'
            : 'None has answered yet. On each custodian: tensorguard-native custodian run --custodian DIR --server URL'}
        </p>
      ) : (
        <Table
          label="Custodians that have answered"
          columns={[
            { title: 'Custodian', cell: ({ custodian }) => custodian },
            { title: 'Answered', cell: ({ atMs }) => <Age atMs={atMs} /> },
            {
              title: 'Answer',
              cell: ({ fingerprint }) => <code title={fingerprint}>{shortFingerprint(fingerprint)}</code>,
            },
          ]}
          rows={round.answers}
          keyOf={({ custodian }) => custodian}
        />
      )}
    </Card>
  );
}
