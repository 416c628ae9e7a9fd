/** What a command prints: one JSON document with --json, else lines for people; progress on a terminal. */
import { printableJson, printableLine } from './printable.js';

export interface Output {
  /** The command's result. `lines` are for people, `document` for --json. */
  result(document: Readonly<Record<string, unknown>>, lines: readonly string[]): void;
  /** A line of a command that tells what it does while it does it: for people only. */
  say(line: string): void;
  /** Something to know, on stderr. */
  warn(line: string): void;
  /** Shown on a terminal once a command has taken more than a second. */
  progress(line: string): void;
  /** Ends the progress line. */
  done(): void;
}

const PROGRESS_AFTER_MS = 1000;

/** Byte strings as hex, so that a document survives JSON. */
export function jsonText(document: unknown): string {
  const json = JSON.stringify(
    document,
    (_key, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value),
    2,
  );
  return printableJson(json);
}

export function createOutput(json: boolean): Output {
  const started = performance.now();
  let shown = false;
  const clear = (): void => {
    if (shown) process.stderr.write('\r\x1b[K');
    shown = false;
  };
  return {
    result(document, lines) {
      clear();
      process.stdout.write(
        json ? `${jsonText(document)}\n` : lines.map((line) => `${printableLine(line)}\n`).join(''),
      );
    },
    say(line) {
      if (json) return;
      clear();
      process.stdout.write(`${printableLine(line)}\n`);
    },
    warn(line) {
      clear();
      process.stderr.write(`${printableLine(line)}\n`);
    },
    progress(line) {
      if (!process.stderr.isTTY || performance.now() - started < PROGRESS_AFTER_MS) return;
      process.stderr.write(`\r\x1b[K${printableLine(line)}`);
      shown = true;
    },
    done: clear,
  };
}

/** 1572864 as "1.50 MiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(2)} ${units[unit]}`;
}
