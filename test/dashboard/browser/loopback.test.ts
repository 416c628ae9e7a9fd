import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { replaceFile } from '../../../lib/files.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { launchChromium, requireChromium } from '../support/browser.js';
import { DashboardPage } from '../support/dashboard-page.js';
import { LiveFleet } from '../support/live-fleet.js';

const program = fileURLToPath(new URL('../../../bin/tensorguard-native.js', import.meta.url));

describe('tensorguard-native dashboard, in a browser', function () {
  this.timeout(180_000);

  let live: LiveFleet;
  let browser: Browser;
  let child: ChildProcess | undefined;

  before(async function () {
    requireChromium(this);
    live = await LiveFleet.start(3);
    browser = await launchChromium();
  });

  afterEach(async () => {
    if (child === undefined) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await ended).to.deep.equal([0, null]);
    child = undefined;
  });

  after(async () => {
    await browser?.close();
    await live?.stop();
  });

  /** @returns the address that it prints */
  async function start(...more: string[]): Promise<string> {
    const args = [program, 'dashboard', '--server', live.address, '--port', '0', '--json', ...more];
    child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      text += line;
      if (line === '}') break;
    }
    return (JSON.parse(text) as { address: string }).address;
  }

  it('signs in by the address that it prints, with a token that the browser never gets', async () => {
    const { token } = await live.token('viewer', 'a laptop');
    const tokenFile = join(await temporaryDirectory(), 'token');
    await replaceFile(tokenFile, token, { mode: 0o600 });
    const launch = new URL(await start('--token-file', tokenFile));
    const page = await DashboardPage.open(browser, launch.origin, { at: launch.hash });
    await page.isLive();
    await page.page.getByRole('cell', { name: live.fleet.clientId(2) }).waitFor();
    // Whoever reads the history or looks over somebody's shoulder does not find the key.
    expect(page.page.url()).to.equal(`${launch.origin}/#/fleet`);
    const kept = await page.page.evaluate(() =>
      JSON.stringify((globalThis as unknown as { sessionStorage: object }).sessionStorage),
    );
    expect(kept).to.include('tgl_').and.not.to.include(token);
    page.expectNoComplaint();
    await page.close();
  });

  it('asks in the page where it has no token', async () => {
    const { token } = await live.token('viewer', 'a laptop');
    const page = await DashboardPage.open(browser, new URL(await start()).origin, { token });
    await page.page.getByRole('cell', { name: live.fleet.clientId(2) }).waitFor();
    page.expectNoComplaint();
    await page.close();
  });
});
