/**
 * Which release a client is to have. Gated: what the policy's rollout says, and a policy's first release, which there is
 * nothing to go back from. A newer release that no rollout has offered is offered to nobody.
 */
import { RefusedError } from '../../errors.js';
import { expectedRelease } from '../../rollout/state.js';
import type { RolloutService } from '../rollouts/rollout-service.js';
import type { ReleaseBook, ReleaseRecord } from './release-book.js';

/** `immediate`: the newest release is everybody's at once, and there are no rollouts. */
export const RELEASE_MODES = ['gated', 'immediate'] as const;
export type ReleaseMode = (typeof RELEASE_MODES)[number];

export const DEFAULT_RELEASE_MODE: ReleaseMode = 'gated';

export class ReleaseOffers {
  constructor(
    readonly mode: ReleaseMode,
    private readonly releases: ReleaseBook,
    private readonly rollouts: RolloutService,
  ) {}

  /**
   * Begins the history of a policy with the newest of its releases, where it has none: the first one, or, in a store from
   * before there were histories, what the fleet runs.
   */
  async begin(policy: string): Promise<void> {
    if ((await this.rollouts.read(policy)) !== undefined) return;
    const [newest] = await this.releases.list(policy);
    if (newest === undefined) return;
    await this.rollouts.begin(policy, (await this.releases.facts(newest)).reference);
  }

  /** The release that a client is to have: of one policy, or the newest of all. */
  async releaseFor(client: string, policy: string | undefined): Promise<ReleaseRecord | undefined> {
    if (this.mode === 'immediate') return (await this.releases.list(policy))[0];
    const policies = policy === undefined ? await this.#policies() : [policy];
    const offered: ReleaseRecord[] = [];
    for (const each of policies) {
      const counter = await this.#offeredCounter(client, each);
      const record = counter === undefined ? undefined : await this.releases.find(counter);
      if (record !== undefined) offered.push(record);
    }
    return offered.sort((a, b) => b.counter - a.counter)[0];
  }

  /**
   * Refuses a client a release by its counter that it was never to have, or that was withdrawn: no robot runs ahead of its
   * rollout by asking for it, nor what failed its evaluation once something newer is offered.
   *
   * @throws RefusedError `release.not-offered`
   */
  async requireOffered(client: string, release: ReleaseRecord): Promise<void> {
    if (this.mode === 'immediate') return;
    const { counter, policy } = release;
    const offered = await this.#offeredCounter(client, policy);
    if (counter === offered) return;
    const isOlder = offered !== undefined && counter < offered;
    if (isOlder && (await this.#wasOffered(client, release)) && !(await this.#isWithdrawn(release))) return;
    throw new RefusedError(
      'release.not-offered',
      `Release ${counter} is not offered to client "${client}". Ask for the latest: that is the one to take.`,
    );
  }

  /** The release that the whole fleet of a policy is to have: beside it there may be one on its way. */
  async currentCounter(policy: string): Promise<number | undefined> {
    if (this.mode === 'immediate') return (await this.releases.list(policy))[0]?.counter;
    return (await this.rollouts.read(policy))?.history.current.counter;
  }

  async #policies(): Promise<string[]> {
    return [...new Set((await this.releases.list()).map(({ policy }) => policy))];
  }

  async #offeredCounter(client: string, policy: string): Promise<number | undefined> {
    await this.begin(policy);
    const record = await this.rollouts.read(policy);
    if (record === undefined) return undefined;
    if (record.latest === undefined) return record.history.current.counter;
    const expected = expectedRelease(record.latest, client);
    if (expected !== undefined) return expected.counter;
    // The roster has it, and the rollout was not told yet.
    await this.rollouts.catchUp(policy);
    const told = (await this.rollouts.read(policy))?.latest;
    return told && expectedRelease(told, client)?.counter;
  }

  /** Whether a release was the whole fleet's, or its rollout came to this client. */
  async #wasOffered(client: string, { counter, policy }: ReleaseRecord): Promise<boolean> {
    if ((await this.rollouts.read(policy))?.history.current.counter === counter) return true;
    return (await this.rollouts.list(policy)).some(({ plan, rollback, clients }) => {
      if (counter === plan.previous.counter || counter === rollback?.release?.counter) return true;
      return counter === plan.release.counter && clients.some(({ id, offered }) => id === client && offered);
    });
  }

  async #isWithdrawn(release: ReleaseRecord): Promise<boolean> {
    const withdrawn = (await this.rollouts.read(release.policy))?.history.withdrawn ?? [];
    const { adapterFingerprint } = (await this.releases.facts(release)).reference;
    return withdrawn.some((entry) => entry.adapterFingerprint === adapterFingerprint);
  }
}
