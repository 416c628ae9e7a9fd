/** A robot at work: it opens releases that are sealed to its key, runs what it opened, and counts how that went. */
import { basename, join } from 'node:path';
import { hex } from '../../../lib/custody/fields.js';
import { openRelease, openReleaseState, openRole } from '../../../lib/index.js';
import type { EpisodeCounts } from '../../../lib/observability/episode-counts.js';
import type { ReleaseReference } from '../../../lib/package/release-reference.js';
import { kemWithDigest } from '../../../lib/round/release/client-kem.js';
import { type ProvingGround, policyOf, rollOut } from '../evaluate.js';
import type { Network } from '../policy/network.js';
import type { Site } from '../sim/sites.js';

/** Work is neither what the owner evaluates in nor what curves are measured in. */
const FIRST_SEED = 500_000_000;

interface Running {
  readonly release: ReleaseReference;
  readonly policy: Network;
  /** What it ran before that, and what its divergence is measured from. */
  readonly before: Network | undefined;
}

export class DeployedRobot {
  readonly id: string;
  /** The adapter that it runs, and trains from. */
  readonly adapter: string;
  private running: Running | undefined;
  private episodesRun = 0;
  private reportsSent = 0;

  constructor(
    private readonly clientDirectory: string,
    private readonly site: Site,
    private readonly ground: ProvingGround,
  ) {
    this.id = basename(clientDirectory);
    this.adapter = join(clientDirectory, 'running');
  }

  /** The same robot on a copy of its directory: another future of it. */
  copyOn(clientDirectory: string): DeployedRobot {
    const copy = new DeployedRobot(clientDirectory, this.site, this.ground);
    copy.running = this.running;
    copy.episodesRun = this.episodesRun;
    copy.reportsSent = this.reportsSent;
    return copy;
  }

  /** What it says that it runs. */
  get runs(): ReleaseReference {
    return this.started.release;
  }

  /** Numbers its reports, of all releases together. */
  nextReport(): number {
    this.reportsSent += 1;
    return this.reportsSent;
  }

  /** Takes a release and runs its adapter from now on. @throws as `openRelease`, and then runs what it ran before */
  async open(file: string): Promise<void> {
    const role = await openRole(this.clientDirectory, 'client');
    try {
      const state = await openReleaseState(this.clientDirectory);
      try {
        const { body } = await openRelease({
          file,
          roster: role.roster,
          clientId: role.id,
          kemFor: (digest, what) => kemWithDigest(role.store, digest, what),
          state,
          out: this.adapter,
        });
        const { counter, adapterFingerprint } = body;
        this.running = {
          release: { counter, adapterFingerprint: hex(adapterFingerprint) },
          policy: await policyOf(this.adapter),
          before: this.running?.policy,
        };
      } finally {
        state.close();
      }
    } finally {
      role.close();
    }
  }

  /** Works for so many episodes, none of which it has met before. */
  async work(episodes: number): Promise<EpisodeCounts> {
    const { policy, before } = this.started;
    const environment = await this.ground.at(this.site);
    const divergences: number[] = [];
    let successes = 0;
    let violations = 0;
    for (let i = 0; i < episodes; i += 1) {
      const run = rollOut(environment, policy, FIRST_SEED + this.episodesRun, before);
      this.episodesRun += 1;
      successes += run.placed ? 1 : 0;
      violations += run.constraintViolations > 0 ? 1 : 0;
      if (run.klDivergence !== undefined) divergences.push(run.klDivergence);
    }
    return {
      episodes,
      successes,
      violations,
      // There is nothing to collide with: the arm is alone in its plane.
      collisions: 0,
      ...(divergences.length > 0 && { klDivergence: momentsOf(divergences) }),
    };
  }

  private get started(): Running {
    if (this.running === undefined) throw new TypeError(`${this.id} has opened no release yet`);
    return this.running;
  }
}

function momentsOf(values: readonly number[]): NonNullable<EpisodeCounts['klDivergence']> {
  return {
    count: values.length,
    sum: values.reduce((a, b) => a + b, 0),
    sumOfSquares: values.reduce((a, b) => a + b * b, 0),
  };
}
