/** The error codes that a Markdown document lists. */

const HEADING = '## Error codes';

/**
 * The rows of the tables in the section "Error codes" of `markdown`, in their order: `code`, `means` and `action` (the
 * column "do"), and `area`, the bold word before the table. A cell that the row lacks is ''.
 */
export function documentedCodes(markdown) {
  const lines = markdown.split('\n');
  const start = lines.indexOf(HEADING);
  const rest = start < 0 ? [] : lines.slice(start + 1);
  const end = rest.findIndex((line) => line.startsWith('## '));
  let area = '';
  return (end < 0 ? rest : rest.slice(0, end)).flatMap((line) => {
    area = /^\*\*([a-z-]+)\*\*/.exec(line)?.[1] ?? area;
    const row = /^\| `([^`]+)` *\|(.*)$/.exec(line);
    if (row === null) return [];
    const [means = '', action = ''] = row[2].split(/(?<!\\)\|/).map((cell) => cell.trim());
    return [{ area, code: row[1], means, action }];
  });
}
