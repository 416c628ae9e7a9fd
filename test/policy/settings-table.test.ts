import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { ENVIRONMENT_ALIASES, LOG_LEVEL_VARIABLE, PRESET_VARIABLE } from '../../lib/policy/environment.js';
import { SETTINGS } from '../../lib/policy/settings.js';
import { settingsTable } from '../../lib/policy/settings-table.js';

/** Markdown formatters align the columns of tables. */
function withoutPadding(table: string): string {
  return table.replace(/ +/g, ' ').replace(/-{3,}/g, '---');
}

describe('docs/policies.md', () => {
  it('has the tables of settings that the code makes', async () => {
    const page = await readFile('docs/policies.md', 'utf8');
    const table = /<!-- settings:[^\n]*-->\n\n([\s\S]*?)\n\n<!-- end of settings -->/.exec(page)?.[1];
    expect(withoutPadding(table ?? '')).to.equal(settingsTable());
    for (const { field } of SETTINGS) expect(withoutPadding(table ?? '')).to.include(`| \`${field}\` |`);
  });

  it('names every variable that is no setting of its own', async () => {
    const page = await readFile('docs/policies.md', 'utf8');
    for (const name of [...ENVIRONMENT_ALIASES.keys(), PRESET_VARIABLE, LOG_LEVEL_VARIABLE]) {
      expect(page).to.include(`| \`${name}\``);
    }
  });

  it('names every code that a plan can be refused with', async () => {
    const [page, source] = await Promise.all(
      ['docs/policies.md', 'lib/policy/bounds.ts'].map((path) => readFile(path, 'utf8')),
    );
    const codes = new Set((source as string).match(/`policy\.[a-z-]+`/g));
    expect(codes.size).to.be.greaterThan(20);
    for (const code of codes) expect(page).to.include(code);
  });
});
