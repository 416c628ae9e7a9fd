/** Numbers and times as they are written on the page. */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** 12345.678 as "12,346", 0.01234 as "0.0123": three digits after which nobody acts on the rest. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return group(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

function group(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** 1572864 as "1.57 MB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? formatNumber(value) : value.toPrecision(3)} ${units[unit]}`;
}

/** A part of one: 0.975 as "97.5 %". */
export function formatPercent(part: number): string {
  const value = part * 100;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} %`;
}

/** Never negative: clocks of two machines differ. */
export function formatDuration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 1) return `${Number(ms.toPrecision(2))} ms`;
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND_MS) return `${(ms / SECOND_MS).toFixed(1)} s`;
  if (ms < MINUTE_MS) return `${Math.floor(ms / SECOND_MS)} s`;
  if (ms < HOUR_MS) return twoUnits(ms, MINUTE_MS, 'min', SECOND_MS, 's');
  if (ms < DAY_MS) return twoUnits(ms, HOUR_MS, 'h', MINUTE_MS, 'min');
  return twoUnits(ms, DAY_MS, 'd', HOUR_MS, 'h');
}

function twoUnits(ms: number, largeMs: number, large: string, smallMs: number, small: string): string {
  const rest = Math.floor((ms % largeMs) / smallMs);
  const whole = `${Math.floor(ms / largeMs)} ${large}`;
  return rest === 0 ? whole : `${whole} ${rest} ${small}`;
}

/** "12 s ago", or "in 3 min" for what is to come. */
export function formatAge(atMs: number, nowMs: number): string {
  // Clocks of two machines differ a little.
  if (atMs > nowMs + SECOND_MS) return `in ${formatSpan(atMs - nowMs)}`;
  const ageMs = nowMs - atMs;
  return ageMs < SECOND_MS ? 'just now' : `${formatSpan(ageMs)} ago`;
}

/** A duration that is looked at while it passes: no fractions of seconds. */
export function formatSpan(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  return ms < 10 * SECOND_MS ? `${Math.floor(ms / SECOND_MS)} s` : formatDuration(ms);
}

/** In the time zone of whoever looks: "2026-11-24 09:05:07". */
export function formatTime(atMs: number): string {
  const time = new Date(atMs);
  return `${[time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-')} ${formatClock(atMs)}`;
}

export function formatClock(atMs: number): string {
  const time = new Date(atMs);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Enough of a fingerprint to tell it from others; the whole is shown where it matters. */
export function shortFingerprint(digits: string): string {
  return digits.length <= 16 ? digits : `${digits.slice(0, 12)}…`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}
