/** Tables in Markdown, padded so that they are readable as text too. */

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join(
    '\n',
  );
}

/** Three significant digits, in percent. */
export function percent(fraction: number): string {
  const value = 100 * fraction;
  return value >= 99.5 && value < 100.5 ? `${value.toFixed(1)} %` : `${Number(value.toPrecision(3))} %`;
}

/** Three significant digits. */
export function threeDigits(value: number): string {
  return value >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** 110828288 as "110,828,288". */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}
