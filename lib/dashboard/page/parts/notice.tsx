/** What is missing, and how to get it. */
import type { ComponentChildren } from 'preact';

export function Notice(properties: {
  readonly title: string;
  readonly advice: ComponentChildren;
  readonly command?: string;
}) {
  const { title, advice, command } = properties;
  return (
    <div class="notice">
      <p class="notice-title">{title}</p>
      <p>{advice}</p>
      {command !== undefined && <pre>{command}</pre>}
    </div>
  );
}
