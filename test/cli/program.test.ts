import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/native.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { documentOf, refusalOf, succeed, tensorguard } from './support/command.js';
import { smallRound } from './support/small-round.js';
import { refuseAllUntouched, refuseUntouched } from './support/snapshot.js';

describe('the command line', function () {
  this.timeout(60_000);

  it('prints one JSON document on stdout and nothing on stderr, command by command', async () => {
    const { ended } = await smallRound();
    expect(Object.keys(ended)).to.have.length(7);
    for (const [command, result] of Object.entries(ended)) {
      expect(documentOf(result), command).to.deep.equal(result.document);
      expect(result.stderr, command).to.equal('');
    }
  });

  it('measures this machine with bench', async () => {
    const cwd = await temporaryDirectory();
    const { document } = await succeed(['bench', '--values', '20000', '--clients', '3', '--threads', '1'], {
      cwd,
    });
    expect(document).to.include({ values: 20000, threads: 1 });
    for (const figure of ['encryptMs', 'sumMs', 'openMs', 'bytesPerValue']) {
      expect(document[figure], figure).to.be.above(0);
    }
  });

  it('prints its version and its help on stdout, and ends with 0', async () => {
    const cwd = await temporaryDirectory();
    const { version } = JSON.parse(await readFile(join(packageRoot(), 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(await tensorguard(['--version'], { cwd })).to.include({ exitCode: 0, stdout: `${version}\n` });
    const help = await tensorguard(['aggregate', '--help'], { cwd });
    expect(help).to.include({ exitCode: 0, stderr: '' });
    expect(help.stdout).to.include('--strict');
  });

  it('ends with 2 where it is used wrongly', async () => {
    const cwd = await temporaryDirectory();
    await refuseUntouched(['frobnicate'], { cwd }, { exitCode: 2, code: 'usage' });
    const all = [
      ['frobnicate'],
      ['plan'],
      ['seal', 'adapter'],
      ['aggregate'],
      ['custodian', 'answer'],
      ['open', 'A.tga', '--frobnicate'],
      ['close', 'A.tga', 'B.tga', '--plan', 'R.tgp', '--owner', 'o', '--out', 'R.tgc'],
      ['inspect'],
      ['doctor', 'everything'],
      ['bench', '--values', 'many'],
      ['fleet', 'init', 'fleet'],
    ];
    const cases = all.map((args) => ({ what: args.join(' '), args, exitCode: 2 as const, code: 'usage' }));
    await refuseAllUntouched(cases, { cwd });
  });

  for (const args of [[], ['fleet'], ['custodian']]) {
    const name = ['tensorguard-native', ...args].join(' ');
    it(`ends with 2 and shows the help of ${name} where it is given no command`, async () => {
      const cwd = await temporaryDirectory();
      const ended = await tensorguard(args, { cwd });
      expect(ended).to.include({ exitCode: 2, stdout: '' });
      expect(ended.stderr).to.include(`Usage: ${name} `);
      const asJson = await tensorguard([...args, '--json'], { cwd });
      expect(refusalOf(args, asJson, { exitCode: 2, code: 'usage' })).to.equal(
        'No command was given; stderr lists them.',
      );
      expect(asJson.stderr).to.equal(ended.stderr);
    });
  }

  it('names an option of a group that there is not', async () => {
    const cwd = await temporaryDirectory();
    const message = await refuseUntouched(['fleet', '--frobnicate'], { cwd }, { exitCode: 2, code: 'usage' });
    expect(message).to.include('--frobnicate');
  });

  it('takes --json before a command as after it', async () => {
    const cwd = await temporaryDirectory();
    const expected = { exitCode: 1, code: 'container.unreadable' } as const;
    for (const args of [
      ['--json', 'inspect', 'nowhere.tgu'],
      ['inspect', '--json', 'nowhere.tgu'],
    ]) {
      refusalOf(args, await tensorguard(args, { cwd }), expected);
    }
    const fleet = ['fleet', 'init', 'fleet', '--clients', '3'];
    for (const [index, args] of [fleet.toSpliced(1, 0, '--json'), [...fleet, '--json']].entries()) {
      const directory = await temporaryDirectory();
      const ended = await tensorguard(args, { cwd: directory });
      expect(documentOf(ended), `${index}`).to.be.an('object');
      expect(ended).to.include({ exitCode: 0, stderr: '' });
    }
  });

  it('writes a refusal to stderr, code first, and nothing to stdout without --json', async () => {
    const cwd = await temporaryDirectory();
    const ended = await tensorguard(['inspect', 'nowhere.tgu'], { cwd });
    expect(ended).to.include({ exitCode: 1, stdout: '' });
    expect(ended.stderr).to.match(/^container\.unreadable: .*nowhere\.tgu/);
    expect(ended.stderr.trimEnd().split('\n')).to.have.length(1);
  });
});
