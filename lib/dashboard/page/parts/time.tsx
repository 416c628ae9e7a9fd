/** Moments, as ages that go on, with the time itself for whoever points at them. */
import { formatAge, formatSpan, formatTime } from '../../model/format.js';
import { useNow } from '../hooks.js';

export function Age({ atMs }: { readonly atMs: number }) {
  const now = useNow();
  return (
    <time class="age" dateTime={new Date(atMs).toISOString()} title={formatTime(atMs)}>
      {formatAge(atMs, now)}
    </time>
  );
}

export function Countdown({ untilMs }: { readonly untilMs: number }) {
  const now = useNow();
  return (
    <time class="age" dateTime={new Date(untilMs).toISOString()} title={formatTime(untilMs)}>
      {untilMs <= now ? `over for ${formatSpan(now - untilMs)}` : formatSpan(untilMs - now)}
    </time>
  );
}
