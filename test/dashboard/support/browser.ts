/** A real Chromium without a window, as Debian packages it. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const EXECUTABLES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Skips the tests, with a message, where no Chromium is installed; on CI that is an error. */
export function requireChromium(context: Mocha.Context): void {
  if (executable() !== undefined) return;
  const problem = 'Chromium is not installed; on Debian: apt-get install chromium';
  if (process.env['CI'] === 'true') throw new Error(`${problem}, and CI=true does not allow skipping.`);
  console.warn(`${problem}: skipping the tests of the page in a browser.`);
  context.skip();
}

export async function launchChromium(): Promise<Browser> {
  const executablePath = executable();
  if (executablePath === undefined) throw new Error('Chromium is not installed');
  return chromium.launch({
    executablePath,
    // In containers its sandbox needs what they do not give, and shared memory is small. It opens this machine's pages alone.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
}

function executable(): string | undefined {
  return EXECUTABLES.find((path) => existsSync(path));
}
