/** Releases: how far the newest one has come, what speaks for it, and what people can decide. */
import { formatNumber, plural, shortFingerprint } from '../../model/format.js';
import { RELEASES_PATH, ROLLOUTS_PATH } from '../../model/paths.js';
import { hashOf } from '../../model/place.js';
import type { ReleaseList, RolloutList, RolloutStatus, RolloutSummary } from '../../model/reported.js';
import { useResource } from '../hooks.js';
import { Card } from '../parts/card.js';
import { Figures } from '../parts/figures.js';
import { Notice } from '../parts/notice.js';
import { Pill, type Tone } from '../parts/pill.js';
import { Reading } from '../parts/reading.js';
import { Table } from '../parts/table.js';
import { Age } from '../parts/time.js';
import type { ViewProperties } from '../view-properties.js';
import { Analysis } from './rollout/analysis.js';
import { Commands } from './rollout/commands.js';
import { Drift } from './rollout/drift.js';
import { Steps } from './rollout/steps.js';
import { Verdict } from './rollout/verdict.js';

const ROLLOUT_TONES: Readonly<Record<RolloutSummary['phase'], Tone>> = {
  pending: 'neutral',
  canary: 'active',
  progressing: 'active',
  paused: 'warning',
  full: 'good',
  'rolling-back': 'warning',
  'rolled-back': 'bad',
  aborted: 'bad',
  failed: 'bad',
};

export function ReleaseView({ subject }: ViewProperties) {
  const rollouts = useResource<RolloutList>(ROLLOUTS_PATH);
  return (
    <>
      <Reading snapshot={rollouts} what="the rollouts">
        {(list) => <Rollouts rollouts={list.rollouts} subject={subject} />}
      </Reading>
      <Releases />
    </>
  );
}

function Rollouts({
  rollouts,
  subject,
}: {
  readonly rollouts: readonly RolloutSummary[];
  readonly subject: string | undefined;
}) {
  const chosen = rollouts.find(({ rollout }) => String(rollout) === subject) ?? rollouts[0];
  if (chosen === undefined) {
    return (
      <div class="after">
        <Notice
          title="No release is being rolled out"
          advice="A release is brought to the fleet step by step where the server gates releases. Evaluate an adapter, release it, then start its rollout."
          command="tensorguard-native rollout start COUNTER --server URL"
        />
      </div>
    );
  }
  return (
    <>
      {rollouts.length > 1 && (
        <nav class="chips" aria-label="Rollouts, the newest first">
          {rollouts.slice(0, 12).map(({ rollout, policy, phase }) => (
            <a
              key={rollout}
              href={hashOf('release', String(rollout))}
              aria-current={rollout === chosen.rollout ? 'true' : undefined}
            >
              <Pill tone={ROLLOUT_TONES[phase]}>{`#${rollout} ${policy}`}</Pill>
            </a>
          ))}
        </nav>
      )}
      <RolloutDetail key={chosen.rollout} rollout={chosen.rollout} />
    </>
  );
}

function RolloutDetail({ rollout }: { readonly rollout: number }) {
  const status = useResource<RolloutStatus>(`${ROLLOUTS_PATH}/${rollout}`);
  return (
    <Reading snapshot={status} what="this rollout">
      {(read) => (
        <>
          <Head status={read} />
          <Verdict adapter={read.release.adapterFingerprint} known={read.verdict?.verdict} />
          <Analysis status={read} />
          <Drift status={read} />
          <Alerts status={read} />
        </>
      )}
    </Reading>
  );
}

function Head({ status }: { readonly status: RolloutStatus }) {
  const { release, previous, policy, phase, reason, cause, clients, reporting } = status;
  return (
    <Card
      title={`Release #${release.counter}`}
      aside={
        <Pill tone={ROLLOUT_TONES[phase]}>
          {phase}
          {reason !== undefined && `: ${reason}`}
          {cause !== undefined && `: ${cause}`}
        </Pill>
      }
    >
      <Steps status={status} />
      <Figures
        figures={[
          { label: 'Policy', value: policy, note: `replaces #${previous.counter}` },
          { label: 'Offered to', value: `${clients.offered} of ${clients.enrolled}`, note: 'clients' },
          {
            label: 'Run what they should',
            value: `${clients.asExpected} of ${clients.enrolled}`,
            note: 'by their own reports',
          },
          {
            label: 'Report from the step',
            value: formatNumber(reporting.reporting),
            note: `${formatNumber(reporting.required)} needed`,
          },
        ]}
      />
      <Commands status={status} />
      <p class="muted fingerprint">
        Adapter <code>{release.adapterFingerprint}</code>
      </p>
    </Card>
  );
}

function Alerts({ status }: { readonly status: RolloutStatus }) {
  if (status.alerts.length === 0) return null;
  return (
    <Card title="Alerts" aside={<span class="muted">{plural(status.alerts.length, 'alert')}</span>}>
      <ul class="alerts">
        {[...status.alerts].reverse().map(({ number, code, message, atMs }) => (
          <li key={number}>
            <Age atMs={atMs} /> <code>{code}</code> {message}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Releases() {
  const releases = useResource<ReleaseList>(RELEASES_PATH);
  return (
    <Reading snapshot={releases} what="the releases">
      {(list) =>
        list.releases.length === 0 ? (
          <Notice
            title="Nothing has been released"
            advice="The owner's agent releases averages, or the owner by hand."
            command="tensorguard-native release create ADAPTER_DIR --owner DIR --out RELEASE.tgr"
          />
        ) : (
          <Card title="Releases">
            <Table
              label="Releases, the newest first"
              columns={[
                { title: 'Release', cell: ({ counter }) => `#${counter}` },
                { title: 'Policy', cell: ({ policy }) => policy },
                { title: 'Published', cell: ({ atMs }) => <Age atMs={atMs} /> },
                {
                  title: 'Of round',
                  cell: ({ plan }) =>
                    plan === undefined ? '–' : <a href={hashOf('round', plan)}>{shortFingerprint(plan)}</a>,
                },
                {
                  title: 'Fingerprint',
                  cell: ({ fingerprint }) => <code title={fingerprint}>{shortFingerprint(fingerprint)}</code>,
                },
              ]}
              rows={list.releases.slice(0, MAX_RELEASES)}
              keyOf={({ counter }) => String(counter)}
            />
          </Card>
        )
      }
    </Reading>
  );
}

const MAX_RELEASES = 50;
