/** A state in a word, with a mark that does not need colour to be told from others. */
import type { ComponentChildren } from 'preact';

export type Tone = 'good' | 'warning' | 'bad' | 'neutral' | 'active';

const MARKS: Readonly<Record<Tone, string>> = {
  good: '●',
  warning: '▲',
  bad: '■',
  neutral: '○',
  active: '◐',
};

export function Pill(properties: {
  readonly tone: Tone;
  readonly title?: string;
  readonly children: ComponentChildren;
}) {
  const { tone, title, children } = properties;
  return (
    <span class={`pill ${tone}`} title={title}>
      <span class="mark" aria-hidden="true">
        {MARKS[tone]}
      </span>
      {children}
    </span>
  );
}
