/** A part of a whole, beside the number that says it. */
import type { Tone } from '../parts/pill.js';

export function Bar({ part, tone }: { readonly part: number; readonly tone: Tone }) {
  return (
    <span class="bar" aria-hidden="true">
      <span class={`bar-part ${tone}`} style={{ width: `${Math.min(1, Math.max(0, part)) * 100}%` }} />
    </span>
  );
}
