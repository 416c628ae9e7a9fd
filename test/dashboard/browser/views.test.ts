import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { z } from 'zod';
import { VIEWS, type ViewName } from '../../../lib/dashboard/model/place.js';
import { seriousFindings } from '../support/accessibility.js';
import { launchChromium, requireChromium } from '../support/browser.js';
import { DashboardPage } from '../support/dashboard-page.js';
import { LiveFleet } from '../support/live-fleet.js';
import { custodianSays, reportOf } from '../support/machine-reports.js';

const anything = z.unknown();
const HOSTILE = '<img src=x onerror="document.title=1">';
const ADAPTER = 'ab'.repeat(32);

describe('the dashboard in a browser, before a fleet at work', function () {
  this.timeout(300_000);

  let live: LiveFleet;
  let browser: Browser;
  let operator: string;
  let viewer: string;
  const open: DashboardPage[] = [];

  before(async function () {
    requireChromium(this);
    live = await LiveFleet.start(4);
    browser = await launchChromium();
    operator = (await live.token('operator', 'Ada Lovelace')).token;
    viewer = (await live.token('viewer', HOSTILE)).token;
  });

  after(async () => {
    await browser?.close();
    await live?.stop();
  });

  afterEach(async () => {
    for (const page of open.splice(0)) {
      page.expectNoComplaint();
      await page.close();
    }
  });

  async function openPage(options: Parameters<typeof DashboardPage.open>[2] = {}): Promise<DashboardPage> {
    const page = await DashboardPage.open(browser, live.address, options);
    open.push(page);
    return page;
  }

  it('asks for a token, says what is wrong with another, and shows nothing without', async () => {
    const page = await openPage();
    await page.page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.page.getByLabel('Token').fill('hunter2');
    await page.page.getByRole('button', { name: 'Sign in' }).click();
    await page.page.getByText('A token looks like tgt_ID_SECRET').waitFor();
    await page.page.getByLabel('Token').fill(`tgt_${'0'.repeat(16)}_${'x'.repeat(43)}`);
    await page.page.getByRole('button', { name: 'Sign in' }).click();
    await page.page.getByText('This is no token of this server').waitFor();
    await page.page.keyboard.press('Escape');
    expect(await page.page.getByRole('dialog').isVisible()).to.equal(true);
    expect(await page.page.locator('main td').count()).to.equal(0);
    await page.signIn(viewer);
    expect(await page.page.getByRole('dialog').count()).to.equal(0);
  });

  it('says in every view what is missing, and how to get it', async () => {
    const page = await openPage({ token: viewer });
    const missing: Readonly<Partial<Record<ViewName, string>>> = {
      round: 'No round has been planned',
      privacy: 'No site has reported a privacy budget',
      efficiency: 'No round has been summed yet',
      release: 'Nothing has been released',
      keys: 'It has reported nothing',
      experts: 'No client has reported a share of an expert',
    };
    for (const [view, text] of Object.entries(missing)) {
      await page.show(view as ViewName);
      await page.has(text);
      await page.page.locator('.notice pre', { hasText: 'tensorguard-native' }).first().waitFor();
    }
  });

  it('follows a round live, from its first update to its release', async () => {
    const page = await openPage({ token: operator });
    live.runOwner(60_000);
    await page.show('round');
    await page.has('Collecting updates');
    await page.has('Nobody has sent yet');
    await page.page.getByLabel('0 of 4 have sent; the quorum of 3 is not reached').waitFor();
    await live.runRobot(1);
    await page.page.getByLabel('1 of 4 have sent; the quorum of 3 is not reached').waitFor();
    await page.page.getByRole('cell', { name: live.fleet.clientId(1) }).waitFor();
    for (const number of [2, 3, 4]) await live.runRobot(number);
    await page.page.getByLabel('4 of 4 have sent; the quorum of 3 is reached').waitFor();
    await page.page.locator('.stage.current', { hasText: 'Waiting for custodians' }).waitFor();
    live.runCustodians(3);
    await live.roundIs(1, 'released');
    await page.page.locator('.stage.done', { hasText: 'Released to the fleet' }).waitFor();
    await page.page.getByRole('cell', { name: 'custodian-2' }).waitFor();
    await page.show('release');
    await page.page.getByRole('region', { name: 'Releases', exact: true }).getByText('#1').waitFor();
  });

  it('shows who the clients are, and what they say as soon as they say it', async () => {
    const page = await openPage({ token: viewer });
    for (const number of [1, 2, 3]) {
      await page.page.getByRole('cell', { name: live.fleet.clientId(number) }).waitFor();
      await reportOf(live.fleet, number, {
        runs: { counter: 1, adapterFingerprint: ADAPTER },
        privacy: { epsilonSpent: number * 2.5, epsilonBudget: 8, delta: 1e-6, rounds: number },
        experts: { vision: number, action: 1 },
        latenciesMs: { upload: 40, apply: 120 },
      });
    }
    await page.page.getByRole('cell', { name: '#1 abababababab' }).first().waitFor();
    await page.page.getByLabel('Find a client').fill(live.fleet.clientId(3));
    await page.has('1 of 4 clients');
    await page.show('privacy');
    await page.page.getByRole('cell', { name: 'ε 7.5 of 8' }).waitFor();
    await page.page.getByRole('link', { name: live.fleet.clientId(2) }).click();
    await page.page.getByRole('img', { name: /Of epsilon 8, 3 is left after 2 rounds/ }).waitFor();
    await page.show('experts');
    await page.has('66.7 %');
  });

  it('shows what the round cost, and where its time went', async () => {
    const page = await openPage({ token: viewer });
    const plan = (await live.statusOf(1))?.plan ?? '';
    const owner = await live.fleet.api('owner');
    const opening = {
      schema: '1.0.0',
      decryptMs: 1234,
      contributors: 4,
      answers: 3,
      verified: true,
      disagreeing: [],
    };
    await owner.sendJson('PUT', `/v1/rounds/${plan}/opening`, opening, anything);
    await page.show('efficiency');
    await page.has('Bytes a parameter');
    for (const stage of ['compress', 'encrypt', 'aggregate', 'decrypt']) {
      await page.page.locator('.waterfall li', { hasText: stage }).waitFor();
    }
    await page.page.locator('.waterfall li', { hasText: '1.2 s' }).waitFor();
    await page.page.locator('.chart canvas').waitFor();
  });

  it('shows keys as custodians report them, and an open break-glass on every view until it is closed', async () => {
    const page = await openPage({ token: viewer });
    await page.show('keys');
    // What its agent says of it.
    await page.page.getByRole('region', { name: 'custodian-2' }).getByText('active').first().waitFor();
    await custodianSays(live.fleet, 4);
    await page.page.getByRole('region', { name: 'custodian-4' }).getByText('kem-1').first().waitFor();
    await page.has('epoch 1 in the roster');
    const use = { entry: 14, key: 'kem-1', round: 'acme balanced all 1' };
    const audit = (entries: number) => ({ entries, head: String(entries % 10).repeat(64), whole: true });
    await custodianSays(live.fleet, 4, { openBreakGlass: [use], audit: audit(15) });
    const banner = page.page.getByText('Break-glass is open');
    await banner.waitFor();
    for (const view of VIEWS) {
      await page.show(view);
      expect(await banner.isVisible(), view).to.equal(true);
    }
    await custodianSays(live.fleet, 4, { audit: audit(16) });
    await banner.waitFor({ state: 'detached' });
  });

  it('takes no string of the server’s for markup', async () => {
    const page = await openPage({ token: viewer });
    await page.page.locator('.caller-name', { hasText: HOSTILE }).waitFor();
    const planned = await live.fleet.plan(7, { deadlineMs: 600_000, cohort: 'elsewhere' });
    const owner = await live.fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${planned.plan}/plan`, planned.bytes, 'named-by-path', anything);
    await owner.sendJson('POST', `/v1/rounds/${planned.plan}/abort`, { reason: HOSTILE }, anything);
    await page.page.goto(`${live.address}/#/round/${planned.plan}`);
    await page.page.locator('.problem', { hasText: HOSTILE }).waitFor();
    expect(await page.page.locator('img[src="x"]').count()).to.equal(0);
    expect(await page.page.title()).to.equal('Round · TensorGuard');
  });

  it('goes where the keyboard goes', async () => {
    const page = await openPage({ token: viewer });
    await page.page.locator('body').click({ position: { x: 640, y: 700 } });
    await page.page.reload();
    await page.isLive();
    const { keyboard } = page.page;
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    expect(
      await page.page.locator('h1').evaluate((heading) => heading === heading.ownerDocument.activeElement),
    ).to.equal(true);
    await page.page.locator('nav.views a').first().focus();
    await keyboard.press('Tab');
    await keyboard.press('Enter');
    await page.page.getByRole('heading', { level: 1, name: 'Round' }).waitFor();
    expect(page.page.url()).to.match(/#\/round$/);
  });

  it('is not wider than a phone', async () => {
    const page = await openPage({ token: viewer, width: 360, height: 740 });
    for (const view of VIEWS) {
      await page.show(view);
      const width = await page.page
        .locator('body')
        .evaluate((body) => body.ownerDocument.documentElement.scrollWidth);
      expect(width, view).to.be.at.most(360);
    }
  });

  it('brings the question for a token back when the one there is expires, and keeps the view', async () => {
    const expiring = await live.token('viewer', 'for a moment');
    const page = await openPage({ token: expiring.token });
    const plan = (await live.statusOf(1))?.plan ?? '';
    await page.show('round');
    await page.page.locator(`.round-list a[href="#/round/${plan}"]`).click();
    await page.page.getByRole('cell', { name: live.fleet.clientId(1) }).waitFor();
    await live.expire(expiring.id);
    // Whatever it asks next: the views that it has not been to, for one.
    await page.page.evaluate(() => {
      (globalThis as unknown as { location: { hash: string } }).location.hash = '#/privacy';
    });
    await page.page.goBack();
    await page.page.getByText('The token has expired').waitFor();
    expect(page.page.url()).to.include(plan);
    expect(
      await page.page.getByRole('cell', { name: live.fleet.clientId(1), includeHidden: true }).count(),
    ).to.equal(1);
    await page.signIn(viewer);
    await page.page.getByRole('cell', { name: live.fleet.clientId(1) }).waitFor();
    expect(page.page.url()).to.include(plan);
  });

  it('forgets everything when somebody signs out', async () => {
    const page = await openPage({ token: viewer });
    await page.page.getByRole('cell', { name: live.fleet.clientId(1) }).waitFor();
    await page.page.getByRole('button', { name: 'Sign out' }).click();
    await page.page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(await page.page.locator('main td').count()).to.equal(0);
    await page.page.reload();
    await page.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  it('shows what it read last while the server is away, and comes back by itself', async () => {
    const page = await openPage({ token: viewer });
    await page.page.getByRole('cell', { name: live.fleet.clientId(1) }).waitFor();
    await live.fleet.stop();
    await page.page.locator('.connection[data-feed="waiting"]').waitFor();
    expect(await page.page.getByRole('cell', { name: live.fleet.clientId(1) }).isVisible()).to.equal(true);
    await live.serve();
    await page.isLive();
    await reportOf(live.fleet, 4, {
      runs: { counter: 9, adapterFingerprint: ADAPTER },
      privacy: { epsilonSpent: 1, epsilonBudget: 8, delta: 1e-6, rounds: 1 },
    });
    await page.page.getByRole('cell', { name: '#9' }).waitFor();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`has no serious finding of axe-core in any view, ${colorScheme}`, async () => {
      const page = await openPage({ colorScheme });
      expect(await seriousFindings(page.page), 'signing in').to.deep.equal([]);
      await page.signIn(operator);
      for (const view of VIEWS) {
        await page.show(view);
        expect(await seriousFindings(page.page), view).to.deep.equal([]);
      }
    });
  }
});
