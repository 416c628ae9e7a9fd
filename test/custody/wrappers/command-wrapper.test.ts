import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { type CommandConfig, CommandWrapper } from '../../../lib/custody/wrappers/command-wrapper.js';
import { MAX_SECRET_BYTES, MAX_WRAPPED_BYTES } from '../../../lib/custody/wrappers/key-wrapper.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { withBitFlipped } from '../support/bytes.js';
import { contentOf, secretOf } from './support/secrets.js';

/** A key service in one file: AES-256-GCM with a key from a file that it is told by its environment. */
const SERVICE = `
const { createCipheriv, createDecipheriv, randomBytes } = require('node:crypto');
const { readFileSync } = require('node:fs');
const key = readFileSync(process.env.SERVICE_KEY ?? 'service.key');
const input = readFileSync(0);
if (process.argv[2] === 'wrap') {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const sealed = Buffer.concat([cipher.update(input), cipher.final()]);
  process.stdout.write(Buffer.concat([nonce, cipher.getAuthTag(), sealed]));
} else {
  const decipher = createDecipheriv('aes-256-gcm', key, input.subarray(0, 12));
  decipher.setAuthTag(input.subarray(12, 28));
  const opened = decipher.update(input.subarray(28));
  try { decipher.final(); } catch { console.error('AccessDenied: no such ciphertext\\nmore'); process.exit(3); }
  process.stdout.write(opened);
}`;

const node = process.execPath;
const SHELL = '/bin/sh';

describe('the command wrapper', () => {
  let directory: string;
  let config: CommandConfig;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    const service = join(directory, 'service.cjs');
    await writeFile(service, SERVICE);
    await writeFile(join(directory, 'service.key'), randomBytes(32), { mode: 0o600 });
    config = {
      kind: 'command',
      wrap: [node, service, 'wrap'],
      unwrap: [node, service, 'unwrap'],
      keyId: 'arn:local/1',
    };
  });

  const open = (changes: Partial<CommandConfig> = {}) =>
    new CommandWrapper({ ...config, ...changes }, { directory });
  const shell = (script: string): [string, ...string[]] => [SHELL, '-c', script];

  it('gives back secrets of every allowed size, through a real program', async () => {
    const wrapper = open();
    for (const sizeBytes of [1, MAX_SECRET_BYTES]) {
      const secret = SecretBytes.random(sizeBytes);
      const wrapped = await wrapper.wrap(secret);
      expect(wrapped).to.have.length(sizeBytes + 28);
      expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secret));
    }
    await expectRefusal('wrapper.secret-size', () => wrapper.wrap(SecretBytes.random(MAX_SECRET_BYTES + 1)));
  });

  it('is named by the operator, and shows programs without their arguments', () => {
    const description = open({ wrap: [node, 'token-in-argument'] }).describe();
    expect(description).to.deep.equal({
      kind: 'command',
      id: 'command:arn:local/1',
      detail: { wrapProgram: node, unwrapProgram: node },
    });
  });

  it('reports a program that refuses, with its exit code and, where it was to wrap, the first line that it wrote', async () => {
    const refuses = open({ wrap: shell('echo "AccessDenied: no such key" >&2; echo more >&2; exit 5') });
    const error = await expectRefusal('wrapper.command-failed', () => refuses.wrap(secretOf('a')));
    expect(error.message).to.include('AccessDenied: no such key').and.to.include('5');
    expect(error.message).not.to.include('more');
    const wrapper = open();
    const wrapped = await wrapper.wrap(secretOf('a'));
    const silent = await expectRefusal('wrapper.command-failed', () =>
      wrapper.unwrap(withBitFlipped(wrapped, 30)),
    );
    expect(silent.message).to.include(node).and.not.to.include('AccessDenied');
  });

  it('reports a program that cannot be started, or that a signal ended', async () => {
    const absent = open({ wrap: [join(directory, 'absent')] });
    const error = await expectRefusal('wrapper.command-failed', () => absent.wrap(secretOf('a')));
    expect(error.message).to.contain('ENOENT');
    const killed = open({ wrap: shell('kill -9 $$') });
    const other = await expectRefusal('wrapper.command-failed', () => killed.wrap(secretOf('a')));
    expect(other.message).to.contain('ended with SIGKILL').and.to.contain('wrote nothing to stderr');
  });

  it('kills a program that takes too long, and what it started', async () => {
    const beat = join(directory, 'beat');
    const script = `(while :; do date +%s%N >'${beat}'; sleep 0.05; done) & wait`;
    const wrapper = open({ wrap: shell(script), timeoutSeconds: 1 });
    await expectRefusal('wrapper.command-timeout', () => wrapper.wrap(secretOf('a')));
    // Until the signal has arrived.
    await pause(200);
    const last = await readFile(beat, 'utf8');
    await pause(400);
    expect(await readFile(beat, 'utf8')).to.equal(last);
  });

  it('stops waiting for a program that left its group and holds the pipes', async () => {
    const wrapper = open({ wrap: shell('setsid sleep 5 & exit 0'), timeoutSeconds: 1 });
    await expectRefusal('wrapper.command-timeout', () => wrapper.wrap(secretOf('a')));
  });

  it('stops a program that writes without end, on either side', async () => {
    const endless = shell('while :; do echo 0123456789012345678901234567890123456789; done');
    await expectRefusal('wrapper.command-output', () => open({ wrap: endless }).wrap(secretOf('a')));
    const tooLong = shell(`head -c ${MAX_SECRET_BYTES + 1} /dev/zero`);
    await expectRefusal('wrapper.command-output', () => open({ unwrap: tooLong }).unwrap(new Uint8Array(9)));
    const longest = open({ unwrap: shell(`head -c ${MAX_SECRET_BYTES} /dev/zero`) });
    expect((await longest.unwrap(new Uint8Array(9))).sizeBytes).to.equal(MAX_SECRET_BYTES);
  });

  it('reads any amount of error output and shows little of it', async () => {
    const noisy = open({ wrap: shell('head -c 300000 /dev/zero | tr "\\0" x >&2; exit 1') });
    const error = await expectRefusal('wrapper.command-failed', () => noisy.wrap(secretOf('a')));
    expect(error.message.length).to.be.lessThan(600);
  });

  it('refuses a program that writes nothing, and wrapped keys of no possible size', async () => {
    await expectRefusal('wrapper.command-output', () =>
      open({ wrap: shell('cat >/dev/null') }).wrap(secretOf('a')),
    );
    await expectRefusal('wrapper.malformed', () => open().unwrap(new Uint8Array()));
    await expectRefusal('wrapper.malformed', () => open().unwrap(new Uint8Array(MAX_WRAPPED_BYTES + 1)));
  });

  it('stores nothing that contains the key, or that does not unwrap to it', async () => {
    for (const copying of ['cat', 'echo wrapped; cat; echo wrapped']) {
      await expectRefusal('wrapper.command-reveals', () =>
        open({ wrap: shell(copying) }).wrap(secretOf('a')),
      );
    }
    const loses = open({
      wrap: shell('cat >/dev/null; echo lost'),
      unwrap: shell('cat >/dev/null; echo other'),
    });
    await expectRefusal('wrapper.unwrap-failed', () => loses.wrap(secretOf('a')));
    const cannot = open({ wrap: shell('cat >/dev/null; head -c 64 /dev/zero') });
    await expectRefusal('wrapper.command-failed', () => cannot.wrap(secretOf('a')));
  });

  it('does not mind a program that ends without reading', async () => {
    const unread = open({ unwrap: shell('exec 0<&-; echo key') });
    const secret = await unread.unwrap(new Uint8Array(MAX_WRAPPED_BYTES));
    expect(contentOf(secret)).to.equal(Buffer.from('key\n').toString('hex'));
  });

  it('never repeats the key, however the program writes it to stderr', async () => {
    const hexadecimal = 'od -An -v -tx1';
    const encodings = [
      'cat',
      'base64',
      '{ printf A; base64; }',
      hexadecimal,
      `{ printf a; ${hexadecimal} | tr -d " \\n"; }`,
      `${hexadecimal} | tr -d " "`,
    ];
    for (const encode of encodings) {
      const traces = open({ wrap: shell(`{ printf 'input: '; ${encode}; } >&2; exit 1`) });
      const error = await expectRefusal('wrapper.command-failed', () => traces.wrap(secretOf('a')));
      expect(error.message, encode).to.contain('withheld');
      expect(inspect(error, { depth: 10 })).not.to.contain(contentOf(secretOf('a')).slice(8, 40));
    }
    // What a failing program unwrapped nobody here knows, so nothing of what it says is shown.
    const leaks = open({ unwrap: shell('printf "the opened key" >&2; exit 1') });
    const error = await expectRefusal('wrapper.command-failed', () => leaks.unwrap(new Uint8Array(9)));
    expect(inspect(error, { depth: 10 })).not.to.contain('opened');
  });

  it('passes PATH, HOME and the variables that are named, no others, and runs in the role directory', async () => {
    const seen = join(directory, 'seen');
    process.env['WRAPPER_TEST_NAMED'] = 'named';
    process.env['WRAPPER_TEST_OTHER'] = 'other';
    try {
      const prints = open({
        unwrap: shell(`{ pwd; env; } >'${seen}'; echo key`),
        environment: ['WRAPPER_TEST_NAMED', 'WRAPPER_TEST_UNSET'],
      });
      await prints.unwrap(new Uint8Array(9));
    } finally {
      delete process.env['WRAPPER_TEST_NAMED'];
      delete process.env['WRAPPER_TEST_OTHER'];
    }
    const [where, ...variables] = (await readFile(seen, 'utf8')).trim().split('\n');
    expect(where).to.equal(directory);
    // The shell sets some by itself.
    const names = variables
      .map((line) => line.split('=')[0])
      .filter((name) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(name ?? ''));
    expect(names.sort()).to.deep.equal(['HOME', 'PATH', 'WRAPPER_TEST_NAMED']);
  });

  it('gives arguments to the program as they are, without a shell', async () => {
    const prints = open({ unwrap: ['/bin/echo', '-n', '$HOME; `id` *'] });
    expect(contentOf(await prints.unwrap(new Uint8Array(9)))).to.equal(
      Buffer.from('$HOME; `id` *').toString('hex'),
    );
  });

  it('refuses work after it was closed', async () => {
    const wrapper = open();
    await wrapper.close();
    await expectRefusal('wrapper.closed', () => wrapper.wrap(secretOf('a')));
    await expectRefusal('wrapper.closed', () => wrapper.unwrap(new Uint8Array(9)));
  });
});
