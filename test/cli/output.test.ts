import { expect } from 'chai';
import fc from 'fast-check';
import { formatBytes, jsonText } from '../../lib/cli/output.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { type Ended, runNode } from './support/command.js';

/** Runs statements with an `out` of their own in a process of their own, on a terminal or not. */
async function withOutput(json: boolean, terminal: boolean, statements: string): Promise<Ended> {
  const script = `
    import { createOutput } from ${JSON.stringify(import.meta.resolve('../../lib/cli/output.js'))};
    if (${terminal}) process.stderr.isTTY = true;
    const out = createOutput(${json});
    const afterAWhile = () => new Promise((done) => setTimeout(done, 1100));
    ${statements}`;
  const ended = await runNode(['--input-type=module', '-e', script], { cwd: await temporaryDirectory() });
  expect(ended.exitCode, ended.stderr).to.equal(0);
  return ended;
}

describe('what a command prints', () => {
  it('writes byte strings as hex, wherever they are', () => {
    const document = { fingerprint: new Uint8Array([0, 255]), list: [{ head: Buffer.from('ab', 'hex') }] };
    // A Buffer has a toJSON of its own, which runs first; nothing that commands print is one.
    expect(JSON.parse(jsonText({ fingerprint: document.fingerprint }))).to.deep.equal({
      fingerprint: '00ff',
    });
    expect(JSON.parse(jsonText({ list: [new Uint8Array([16])] }))).to.deep.equal({ list: ['10'] });
  });

  it('leaves every other JSON value as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(jsonText(value))).to.deep.equal(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  for (const [bytes, text] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1572864, '1.50 MiB'],
    [2 ** 30, '1.00 GiB'],
    [2 ** 42, '4096.00 GiB'],
  ] as const) {
    it(`writes ${bytes} bytes as ${text}`, () => {
      expect(formatBytes(bytes)).to.equal(text);
    });
  }

  it('shows control characters of what others wrote as what they are, and forges no line', async () => {
    const reason = 'a drill\nBREAK-GLASS CLOSED\u001b[2J\u009b1A\u202e\u2028';
    const statements = `
      const reason = ${JSON.stringify(reason)};
      out.warn(reason);
      out.result({ reason }, [reason]);`;
    const [lines, document] = await Promise.all([
      withOutput(false, false, statements),
      withOutput(true, false, statements),
    ]);
    const shown = 'a drill\\u000aBREAK-GLASS CLOSED\\u001b[2J\\u009b1A\\u202e\\u2028\n';
    expect(lines.stdout).to.equal(shown);
    expect(lines.stderr).to.equal(shown);
    expect(document.stdout).to.match(/^[\x20-\x7e\n]*$/);
    expect(JSON.parse(document.stdout)).to.deep.equal({ reason });
  });

  it('prints the document with --json and the lines without, on stdout alone', async () => {
    const result = "out.result({ sum: 3 }, ['The sum is 3.', 'Done.']);";
    const [document, lines] = await Promise.all([
      withOutput(true, false, result),
      withOutput(false, false, result),
    ]);
    expect(JSON.parse(document.stdout)).to.deep.equal({ sum: 3 });
    expect(lines.stdout).to.equal('The sum is 3.\nDone.\n');
    expect(document.stderr + lines.stderr).to.equal('');
  });

  it('prints nothing for a result without lines', async () => {
    expect((await withOutput(false, false, 'out.result({ sum: 3 }, []);')).stdout).to.equal('');
  });

  it('warns on stderr, with --json too', async () => {
    const { stdout, stderr } = await withOutput(
      true,
      false,
      "out.warn('Mind the quorum.'); out.result({}, []);",
    );
    expect(stderr).to.equal('Mind the quorum.\n');
    expect(JSON.parse(stdout)).to.deep.equal({});
  });

  it('shows progress on a terminal once a second has passed, and takes it away before the result', async () => {
    const { stderr, stdout } = await withOutput(
      false,
      true,
      "out.progress('early'); await afterAWhile(); out.progress('17 updates'); out.progress('18 updates'); out.result({}, ['Summed.']);",
    );
    expect(stderr).to.equal('\r\x1b[K17 updates\r\x1b[K18 updates\r\x1b[K');
    expect(stdout).to.equal('Summed.\n');
  });

  it('takes progress away before a warning, and when told', async () => {
    const { stderr } = await withOutput(
      false,
      true,
      "await afterAWhile(); out.progress('1'); out.warn('Hm.'); out.progress('2'); out.done(); out.done();",
    );
    expect(stderr).to.equal('\r\x1b[K1\r\x1b[KHm.\n\r\x1b[K2\r\x1b[K');
  });

  it('shows no progress where stderr is not a terminal, however long it takes', async () => {
    const { stderr } = await withOutput(
      false,
      false,
      "await afterAWhile(); out.progress('17 updates'); out.result({}, []);",
    );
    expect(stderr).to.equal('');
  });
});
