/** Releases and verdicts of a test's fleet, signed by its owner and sent to its service; robots' reports. */
import { z } from 'zod';
import { perturbAdapter } from '../../../lib/adapter/synthetic.js';
import { openRole } from '../../../lib/custody/role-directory.js';
import { evaluateEpisodes } from '../../../lib/evaluation/evaluate-candidate.js';
import { VerdictRecords } from '../../../lib/evaluation/verdict-records.js';
import type { EpisodeCounts } from '../../../lib/observability/episode-counts.js';
import { hex } from '../../../lib/package/messages/common.js';
import { openContainer } from '../../../lib/package/reader.js';
import type { ReleaseReference } from '../../../lib/package/release-reference.js';
import { policyFingerprints } from '../../../lib/policy/fingerprint.js';
import { openOwner } from '../../../lib/round/owner-directory.js';
import { createRelease } from '../../../lib/round/release/create-release.js';
import { activeRecipients } from '../../../lib/round/release/recipients.js';
import { ReleaseRecords } from '../../../lib/round/release/release-records.js';
import { type RolloutStatus, rolloutStatusSchema } from '../../../lib/server/rollouts/rollout-status.js';
import { goodPairs } from '../../evaluation/support/episodes.js';
import { type ServedTestFleet, smallPolicy } from './served-fleet.js';

export const POLICY = 'balanced';
const anything = z.unknown();

/** Steps that a test can wait for: a second between analyses, and nobody is silent for long. */
export const QUICK_ROLLOUT = {
  canaryPercent: 10,
  percents: [50],
  minimumDurationSeconds: 0,
  analysisIntervalSeconds: 1,
  rollbackTimeoutSeconds: 60,
  analysis: { minimumEpisodes: 20, failureLimit: 0, telemetryTimeoutSeconds: 60 },
} as const;

export const GOOD: EpisodeCounts = { episodes: 100, successes: 99, violations: 0, collisions: 0 };
export const BAD: EpisodeCounts = { episodes: 100, successes: 20, violations: 0, collisions: 0 };

export interface TestRelease {
  readonly reference: ReleaseReference;
  readonly path: string;
  /** Directory of the adapter. */
  readonly adapter: string;
}

export interface TestVerdict {
  readonly fingerprint: string;
  readonly bytes: Uint8Array;
}

export class TestReleases {
  readonly #sequences = new Map<string, number>();

  constructor(private readonly fleet: ServedTestFleet) {}

  /** An adapter that no other one is like. */
  async adapter(name: string): Promise<string> {
    const directory = this.fleet.at('adapters', name);
    await perturbAdapter(this.fleet.at('adapters', 'start'), directory, { seed: name });
    return directory;
  }

  async make(adapter: string, options: { rollbackTo?: number; policy?: string } = {}): Promise<TestRelease> {
    const directory = this.fleet.role('owner');
    const { owner, role } = await openOwner(directory, { environment: {} });
    try {
      const { body, kept } = await createRelease({
        signing: owner.signing,
        records: new ReleaseRecords(directory),
        roster: role.roster,
        policy: options.policy ?? POLICY,
        adapter,
        recipients: await activeRecipients(directory, role.roster),
        rollbackTo: options.rollbackTo,
        out: this.fleet.at('released.tgr'),
      });
      const { counter, adapterFingerprint } = body;
      return { reference: { counter, adapterFingerprint: hex(adapterFingerprint) }, path: kept, adapter };
    } finally {
      role.close();
    }
  }

  async publish(release: TestRelease): Promise<TestRelease> {
    const owner = await this.fleet.api('owner');
    await owner.putFile(`/v1/releases/${release.reference.counter}`, release.path, anything);
    return release;
  }

  async released(name: string): Promise<TestRelease> {
    return this.publish(await this.make(await this.adapter(name)));
  }

  /** What an evaluation of made-up episodes concludes, signed. */
  async verdict(
    candidate: string,
    baseline: string,
    outcome: 'passed' | 'failed' | 'inconclusive',
    replace = false,
  ): Promise<TestVerdict> {
    const { safety, ...policy } = smallPolicy();
    const rate = { passed: 0, failed: 1, inconclusive: 0.04 }[outcome];
    const pairs = goodPairs(400, (i) => ({ candidate: { success: (i * 0.618) % 1 >= rate } }));
    const episodes = pairs.flatMap((pair) => [pair.candidate, pair.baseline]);
    const evaluation = await evaluateEpisodes(episodes, { candidate, baseline, safety });
    if (evaluation.outcome !== outcome) throw new Error(`the evaluation ${evaluation.outcome}`);
    const directory = this.fleet.role('owner');
    const owner = await openRole(directory, 'owner');
    try {
      const issued = await new VerdictRecords(directory).issue({
        ...{ signing: owner.signing, roster: owner.roster, evaluation, replace },
        safety: policyFingerprints({ ...policy, safety }).sections.safety,
      });
      return { fingerprint: hex(issued.fingerprint), bytes: issued.file };
    } finally {
      owner.close();
    }
  }

  async putVerdict({ fingerprint, bytes }: TestVerdict): Promise<void> {
    const owner = await this.fleet.api('owner');
    await owner.putBytes(`/v1/verdicts/${fingerprint}`, bytes, 'named-by-path', anything);
  }

  /** Evaluated against the release before, and told to the service. */
  async evaluated(
    release: TestRelease,
    previous: TestRelease,
    outcome: 'passed' | 'failed' | 'inconclusive' = 'passed',
  ): Promise<TestVerdict> {
    const verdict = await this.verdict(release.adapter, previous.adapter, outcome);
    await this.putVerdict(verdict);
    return verdict;
  }

  async start(counter: number, changes: Record<string, unknown> = {}): Promise<RolloutStatus> {
    const owner = await this.fleet.api('owner');
    const body = { release: counter, ...QUICK_ROLLOUT, ...changes };
    return owner.sendJson('POST', '/v1/rollouts', body, rolloutStatusSchema);
  }

  async command(counter: number, name: string, body: Record<string, unknown> = {}): Promise<RolloutStatus> {
    const owner = await this.fleet.api('owner');
    return owner.sendJson('POST', `/v1/rollouts/${counter}/${name}`, body, rolloutStatusSchema);
  }

  async status(counter: number): Promise<RolloutStatus> {
    return (await this.fleet.api('owner')).getJson(`/v1/rollouts/${counter}`, rolloutStatusSchema);
  }

  async until(
    counter: number,
    isReached: (status: RolloutStatus) => boolean,
    meanwhile: () => Promise<void> = async () => undefined,
  ): Promise<RolloutStatus> {
    for (const end = Date.now() + 30_000; Date.now() < end; ) {
      await meanwhile();
      const status = await this.status(counter);
      if (isReached(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the rollout stays as it is: ${JSON.stringify(await this.status(counter))}`);
  }

  /** What a robot says that it runs, and what came of its episodes. */
  async report(number: number, runs: ReleaseReference, episodes?: EpisodeCounts): Promise<void> {
    const client = this.fleet.clientId(number);
    const sequence = (this.#sequences.get(client) ?? 0) + 1;
    this.#sequences.set(client, sequence);
    const api = await this.fleet.api(`client-${number}`);
    const report = {
      ...{ schema: '1.0.0', client, policy: POLICY, sequence, atMs: Date.now(), runs },
      ...(episodes !== undefined && { episodes }),
    };
    await api.sendJson('PUT', `/v1/clients/${client}/reports/${sequence}`, report, anything);
  }

  /** The counter of the release that a robot is given; undefined where there is none. */
  async offered(number: number, path = '/v1/releases/latest'): Promise<number | undefined> {
    const api = await this.fleet.api(`client-${number}`);
    const query = path.endsWith('/latest') ? { policy: POLICY } : {};
    try {
      const file = await api.getBytes(path, 10_000_000, { query });
      const container = await openContainer(file, 'release');
      await container.close();
      return container.body.counter;
    } catch (error) {
      if ((error as { readonly code?: string }).code === 'request.not-found') return undefined;
      throw error;
    }
  }

  /** What each robot is given, in their order. */
  async offeredToAll(): Promise<(number | undefined)[]> {
    const offered: (number | undefined)[] = [];
    for (let number = 1; number <= this.fleet.clients; number += 1) offered.push(await this.offered(number));
    return offered;
  }
}
