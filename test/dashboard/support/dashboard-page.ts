/** The page in a browser's tab, watched: what it fetches, what it complains about. */
import { expect } from 'chai';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { ViewName } from '../../../lib/dashboard/model/place.js';
import { bringAxe } from './accessibility.js';

export interface OpenOptions {
  readonly token?: string;
  readonly colorScheme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
  readonly at?: string;
}

/** A machine that has much else to do. */
const WITHIN_MS = 60_000;

export class DashboardPage {
  /** What went to another origin than the page's. */
  readonly elsewhere: string[] = [];
  /** What the browser reported: uncaught errors, and what the policy stopped. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    readonly context: BrowserContext,
    readonly address: string,
  ) {}

  static async open(browser: Browser, address: string, options: OpenOptions = {}): Promise<DashboardPage> {
    const { token, colorScheme = 'light', width = 1280, height = 800, at = '' } = options;
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, locale: 'en-GB' });
    await bringAxe(context);
    const page = await context.newPage();
    page.setDefaultTimeout(WITHIN_MS);
    const opened = new DashboardPage(page, context, address);
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== address) opened.elsewhere.push(request.url());
    });
    page.on('pageerror', (error) => opened.complaints.push(String(error)));
    page.on('console', (message) => {
      // Of a server that is away or refuses a token the browser says so by itself.
      const isNetwork = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isNetwork) opened.complaints.push(message.text());
    });
    await page.goto(`${address}/${at}`);
    if (token !== undefined) await opened.signIn(token);
    return opened;
  }

  async signIn(token: string): Promise<void> {
    await this.page.getByLabel('Token').fill(token);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.isLive();
  }

  async isLive(): Promise<void> {
    await this.page.locator('.connection[data-feed="live"]').waitFor();
  }

  async show(view: ViewName): Promise<void> {
    await this.page.locator(`nav.views a[href="#/${view}"]`).click();
    await this.settled();
  }

  /** Nothing is being read for the first time any more. */
  async settled(): Promise<void> {
    await this.page.locator('main:not(:has(.loading))').waitFor();
  }

  /** Text anywhere in the view. */
  async has(text: string | RegExp): Promise<void> {
    await this.page.locator('main').getByText(text).first().waitFor();
  }

  expectNoComplaint(): void {
    expect(this.elsewhere, 'requests to elsewhere').to.deep.equal([]);
    expect(this.complaints, "the browser's complaints").to.deep.equal([]);
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}
