/** Commands that the page names, for whoever follows its advice. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { tensorguard } from '../cli/support/command.js';

const PAGE = fileURLToPath(new URL('../../../lib/dashboard/page', import.meta.url));
const NAMED = /tensorguard-native ((?:[a-z][a-z-]* )*[a-z][a-z-]*)((?: [^`'"<\n,]*)?)/g;

describe('the commands that the dashboard names', function () {
  this.timeout(120_000);

  it('are commands, and have the options that it gives them', async () => {
    const files = await readdir(PAGE, { recursive: true });
    const named: { words: string; options: string[] }[] = [];
    for (const file of files.filter((each) => each.endsWith('.tsx'))) {
      const text = (await readFile(join(PAGE, file), 'utf8')).replaceAll('\\n', '\n');
      for (const [, words = '', rest = ''] of text.matchAll(NAMED)) {
        named.push({ words, options: rest.match(/--[a-z-]+/g) ?? [] });
      }
    }
    expect(named.length).to.be.greaterThan(8);
    for (const { words, options } of named) {
      const { exitCode, stdout } = await tensorguard([...words.split(' '), '--help'], { cwd: PAGE });
      expect(exitCode, words).to.equal(0);
      for (const option of options) expect(stdout, words).to.include(`${option} `);
    }
  });
});
