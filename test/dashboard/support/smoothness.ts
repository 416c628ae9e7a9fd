/** How long the page keeps its browser busy at one go: what somebody feels as frozen. */
import type { Page } from 'playwright-core';

export interface Smoothness {
  /** Longest task of the main thread, in milliseconds; 0 where none took 50. */
  readonly longestTaskMs: number;
  /** Longest time between two frames. */
  readonly longestFrameMs: number;
  readonly frames: number;
}

interface Measured {
  longestTaskMs: number;
  longestFrameMs: number;
  frames: number;
}

/** What a browser has, and the compiler knows of Node alone. */
interface Window {
  smoothness: Measured;
  requestAnimationFrame(callback: (atMs: number) => void): void;
  PerformanceObserver: new (
    callback: (list: { getEntries(): { duration: number }[] }) => void,
  ) => { observe(options: object): void };
}

/** Measures from here on. */
export async function measureSmoothness(page: Page): Promise<void> {
  await page.evaluate(() => {
    const window = globalThis as unknown as Window;
    const measured = { longestTaskMs: 0, longestFrameMs: 0, frames: 0 };
    window.smoothness = measured;
    new window.PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        measured.longestTaskMs = Math.max(measured.longestTaskMs, duration);
      }
    }).observe({ type: 'longtask' });
    let before: number | undefined;
    const frame = (atMs: number): void => {
      if (before !== undefined) measured.longestFrameMs = Math.max(measured.longestFrameMs, atMs - before);
      before = atMs;
      measured.frames += 1;
      window.requestAnimationFrame(frame);
    };
    window.requestAnimationFrame(frame);
  });
}

export async function measuredSmoothness(page: Page): Promise<Smoothness> {
  return page.evaluate(() => (globalThis as unknown as Window).smoothness);
}
