import { expect } from 'chai';
import type { Browser, Locator } from 'playwright-core';
import { GOOD, QUICK_ROLLOUT, type TestRelease, TestReleases } from '../../server/support/test-releases.js';
import { seriousFindings } from '../support/accessibility.js';
import { launchChromium, requireChromium } from '../support/browser.js';
import { DashboardPage } from '../support/dashboard-page.js';
import { LiveFleet } from '../support/live-fleet.js';

/** Nothing moves by itself while somebody looks. */
const SLOW = {
  ...{ canaryPercent: 20, minimumDurationSeconds: 3600 },
  analysis: { ...QUICK_ROLLOUT.analysis, telemetryTimeoutSeconds: 3600 },
};

describe('rollouts in the dashboard', function () {
  this.timeout(300_000);

  let live: LiveFleet;
  let browser: Browser;
  let releases: TestReleases;
  let first: TestRelease;
  let operator: DashboardPage;
  let viewer: DashboardPage;

  before(async function () {
    requireChromium(this);
    live = await LiveFleet.start(5);
    releases = new TestReleases(live.fleet);
    first = await releases.released('first');
    browser = await launchChromium();
    const open = async (role: 'operator' | 'viewer') => {
      const { token } = await live.token(role, role);
      return DashboardPage.open(browser, live.address, { token, at: '#/release' });
    };
    operator = await open('operator');
    viewer = await open('viewer');
  });

  after(async () => {
    await browser?.close();
    await live?.stop();
  });

  afterEach(() => {
    for (const page of [operator, viewer]) page?.expectNoComplaint();
  });

  const button = (page: DashboardPage, name: string): Locator =>
    page.page.getByRole('button', { name, exact: true });

  /** The state of the rollout, as its card has it. */
  async function isShown(page: DashboardPage, release: number, phase: string | RegExp): Promise<void> {
    await page.page
      .getByRole('region', { name: `Release #${release}`, exact: true })
      .getByText(phase)
      .first()
      .waitFor();
  }

  async function decide(name: string): Promise<void> {
    await button(operator, name).click();
    await button(operator, `Yes, ${name.toLowerCase()}`).click();
    await operator.page.getByRole('dialog').waitFor({ state: 'detached' });
  }

  it('say what is missing before there is one, and before there is a verdict', async () => {
    await operator.has('No release is being rolled out');
    await releases.released('second');
    await releases.start(2, SLOW);
    await isShown(operator, 2, 'pending');
    await operator.has('There is no verdict on this adapter');
    expect(await button(operator, 'Pause').isDisabled()).to.equal(true);
    expect(await button(operator, 'Roll back').isDisabled()).to.equal(true);
  });

  it('are given up by an operator who says so twice', async () => {
    await button(operator, 'Abort').click();
    await operator.page.getByText('Release #2 is given up').waitFor();
    await button(operator, 'No, go back').click();
    expect((await releases.status(2)).phase).to.equal('pending');
    await decide('Abort');
    await isShown(operator, 2, /aborted/);
    expect((await releases.status(2)).phase).to.equal('aborted');
  });

  it('show the verdict with its intervals, and the canary as it reports', async () => {
    const third = await releases.released('third');
    await releases.start(3, SLOW);
    await releases.evaluated(third, first);
    await isShown(viewer, 3, 'canary');
    const verdict = viewer.page.getByRole('region', { name: 'Verdict', exact: true });
    await verdict.getByRole('row', { name: /success-rate passed .* to .* at least/ }).waitFor();
    await verdict.getByText(/Confidence 9\d/).waitFor();
    const { drift } = await releases.status(3);
    const canary = drift.find(({ expected }) => expected.counter === 3)?.client ?? '';
    await releases.report(Number(canary.replace('client-', '')), third.reference, GOOD);
    await viewer.page.getByRole('row', { name: new RegExp(`${canary} #3 #3 as expected`) }).waitFor();
    await viewer.page
      .getByRole('region', { name: 'Telemetry of the step' })
      .getByText('success-rate')
      .waitFor();
  });

  it('are not for a viewer to decide', async () => {
    await viewer.has("Your token's role is viewer");
    for (const name of ['Pause', 'Resume', 'Promote', 'Abort', 'Roll back']) {
      expect(await button(viewer, name).isDisabled(), name).to.equal(true);
    }
  });

  it('pause, go on, are promoted and go back where an operator decides it, and every page sees that', async () => {
    await operator.page
      .locator('nav.chips a[href="#/release/3"]')
      .or(operator.page.locator('nav.views a[href="#/release"]'))
      .first()
      .click();
    await isShown(operator, 3, 'canary');
    await decide('Pause');
    await isShown(viewer, 3, 'paused: operator');
    await decide('Resume');
    await isShown(viewer, 3, 'canary');
    await decide('Promote');
    await isShown(viewer, 3, 'progressing');
    expect(await releases.status(3)).to.deep.include({
      phase: 'progressing',
      step: { index: 1, percent: 50 },
    });
    await decide('Roll back');
    await isShown(viewer, 3, /rolling-back/);
    expect(await releases.status(3)).to.include({ phase: 'rolling-back', cause: 'command' });
    await viewer.page
      .getByRole('region', { name: 'Alerts', exact: true })
      .getByText('rolling-back')
      .first()
      .waitFor();
  });

  it('say what the server refused, where the rollout has changed meanwhile', async () => {
    const fourth = await releases.make(first.adapter, { rollbackTo: 1 });
    await releases.publish(fourth);
    const fifth = await releases.released('fifth');
    await releases.until(
      3,
      ({ phase }) => phase === 'rolled-back',
      async () => {
        for (let number = 1; number <= 5; number += 1) await releases.report(number, fourth.reference);
      },
    );
    await releases.start(5, SLOW);
    await releases.evaluated(fifth, first);
    await isShown(operator, 5, 'canary');
    await operator.page.route('**/v1/rollouts/5/pause', async (route) => {
      await releases.command(5, 'abort');
      await route.continue();
    });
    await button(operator, 'Pause').click();
    await button(operator, 'Yes, pause').click();
    await operator.page
      .getByRole('dialog')
      .getByText(/Cannot pause the rollout/)
      .waitFor();
    await button(operator, 'No, go back').click();
  });

  it('have no serious finding of axe-core, the question included', async () => {
    await operator.page.emulateMedia({ colorScheme: 'dark' });
    expect(await seriousFindings(operator.page), 'dark').to.deep.equal([]);
    await operator.page.emulateMedia({ colorScheme: 'light' });
    expect(await seriousFindings(operator.page), 'light').to.deep.equal([]);
  });
});
