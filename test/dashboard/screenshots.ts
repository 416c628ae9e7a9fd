/**
 * Pictures of every view, light and dark, of a real run: `npm run screenshots` runs this, and no test does. Robots seal adapters of
 * SmolVLA's default size and the agents of custodians and owner do the rest. Budgets, episodes and experts' shares are those that
 * the robots are made to report here: it takes no training to draw them.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { SMOLVLA_DEFAULT_RANK, smolVlaShapes } from '../../lib/adapter/smolvla.js';
import { VIEWS } from '../../lib/dashboard/model/place.js';
import type { RolloutStatus } from '../../lib/server/rollouts/rollout-status.js';
import { QUICK_ROLLOUT, TestReleases } from '../server/support/test-releases.js';
import { launchChromium } from './support/browser.js';
import { DashboardPage } from './support/dashboard-page.js';
import { LiveFleet } from './support/live-fleet.js';
import { reportOf } from './support/machine-reports.js';

const IMAGES = fileURLToPath(new URL('../../../docs/images/', import.meta.url));
const ROBOTS = 6;
const ADAPTER = { shapes: smolVlaShapes(), rank: SMOLVLA_DEFAULT_RANK };
const EPSILON_BUDGET = 8;
const ROUNDS_REPORTED = 6;
/** It stays in its canary while pictures are taken. */
const ROLLOUT = {
  ...{ canaryPercent: 20, minimumDurationSeconds: 3600 },
  analysis: { ...QUICK_ROLLOUT.analysis, telemetryTimeoutSeconds: 3600 },
};

describe('pictures of the dashboard', function () {
  this.timeout(900_000);

  let live: LiveFleet;
  let browser: Browser;
  let token: string;

  before(async () => {
    await mkdir(IMAGES, { recursive: true });
    live = await LiveFleet.start(ROBOTS, ADAPTER);
    live.runOwner(120_000);
    live.runCustodians(4);
    for (let number = 1; number <= ROBOTS; number += 1) await live.runRobot(number);
    await live.roundIs(1, 'released');
    await live.trainAgain(ROBOTS);
    live.passAnHour();
    await live.roundIs(2, 'released');
    await report(await startRollout());
    // A server that ends writes what it takes together once a minute.
    await live.fleet.stop();
    await live.serve();
    browser = await launchChromium();
    token = (await live.token('operator', 'Ada Lovelace')).token;
  });

  after(async () => {
    await browser?.close();
    await live?.stop();
  });

  /** Of the second average, evaluated against the first on made-up episodes. */
  async function startRollout(): Promise<RolloutStatus> {
    const releases = new TestReleases(live.fleet);
    const [candidate, baseline] = [live.fleet.at('averages', '2'), live.fleet.at('averages', '1')];
    await releases.start(2, ROLLOUT);
    await releases.putVerdict(await releases.verdict(candidate, baseline, 'passed'));
    return releases.until(2, ({ phase }) => phase === 'canary');
  }

  /** What robots say round by round; those of the canary run what they were offered. */
  async function report({ drift, previous }: RolloutStatus): Promise<void> {
    const runs = new Map(drift.map(({ client, expected }) => [client, expected]));
    for (let round = 1; round <= ROUNDS_REPORTED; round += 1) {
      for (let number = 1; number < ROBOTS; number += 1) {
        const said = { ...reportIn(round, number), runs: runs.get(live.fleet.clientId(number)) ?? previous };
        await reportOf(live.fleet, number, said);
      }
    }
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`are of every view, ${colorScheme}`, async () => {
      const page = await DashboardPage.open(browser, live.address, { colorScheme, token, height: 860 });
      for (const view of VIEWS) {
        await page.show(view);
        if (view === 'round') await page.page.locator('.round-list a', { hasText: 'Round 2' }).click();
        // Lines and bars have come to where they belong.
        await page.page.waitForTimeout(1200);
        await page.page.screenshot({ path: join(IMAGES, `dashboard-${view}-${colorScheme}.png`) });
      }
      page.expectNoComplaint();
      await page.close();
    });
  }
});

/** Sites that have spent more the higher their number. */
function reportIn(round: number, number: number): Parameters<typeof reportOf>[2] {
  return {
    privacy: {
      epsilonSpent: 0.25 * number * Math.sqrt(round) + 0.18 * number * round,
      epsilonBudget: EPSILON_BUDGET,
      ...{ delta: 1e-6, rounds: round },
    },
    experts: { vision: 1, language: 0.2 + 0.1 * number, action: 0.4 * number },
    residualNorm: 0.4 + 0.02 * number,
    episodes: { episodes: 60, successes: 57 + (round % 3), violations: round % 2, collisions: 0 },
  };
}
