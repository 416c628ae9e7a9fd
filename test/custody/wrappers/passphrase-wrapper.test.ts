import { createCipheriv, scryptSync } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { MAX_SECRET_BYTES } from '../../../lib/custody/wrappers/key-wrapper.js';
import { newPassphraseConfig, PassphraseWrapper } from '../../../lib/custody/wrappers/passphrase-wrapper.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { bytes32, withBitFlipped } from '../support/bytes.js';
import { contentOf, secretOf } from './support/secrets.js';

const PASSPHRASE = 'correct horse battery';
const CHEAP = 10;
const LOG2_N_OFFSET = 5;

async function passphraseFile(
  content: string | Uint8Array = `${PASSPHRASE}\n`,
  mode = 0o600,
): Promise<string> {
  const path = join(await temporaryDirectory(), 'passphrase');
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

async function openWrapper(path?: string, config = newPassphraseConfig(path ?? ''), scryptLog2N = CHEAP) {
  const file = path ?? (await passphraseFile());
  return PassphraseWrapper.open({ ...config, passphraseFile: file }, { directory: '/', scryptLog2N });
}

function withByte(bytes: Uint8Array, index: number, value: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[index] = value;
  return changed;
}

describe('the passphrase wrapper', () => {
  it('gives back secrets of every allowed size, and refuses others', async () => {
    const wrapper = await openWrapper();
    for (const sizeBytes of [1, 32, 1216, MAX_SECRET_BYTES]) {
      const secret = SecretBytes.random(sizeBytes);
      const wrapped = await wrapper.wrap(secret);
      expect(wrapped).to.have.length(sizeBytes + 52);
      expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secret));
    }
    await expectRefusal('wrapper.secret-size', () => wrapper.wrap(SecretBytes.random(0)));
    await expectRefusal('wrapper.secret-size', () => wrapper.wrap(SecretBytes.random(MAX_SECRET_BYTES + 1)));
    await wrapper.close();
  });

  it('asks for N = 2^17 unless told otherwise, and writes that into what it wraps', async () => {
    const path = await passphraseFile();
    const wrapper = await PassphraseWrapper.open(newPassphraseConfig(path), { directory: '/' });
    const wrapped = await wrapper.wrap(secretOf('a'));
    expect([...wrapped.subarray(0, 8)]).to.deep.equal([...Buffer.from('TGWP'), 1, 17, 8, 1]);
    expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secretOf('a')));
    await wrapper.close();
  });

  it('opens later, and with another N, what the same configuration wrapped', async () => {
    const path = await passphraseFile();
    const config = newPassphraseConfig(path);
    const first = await openWrapper(path, config);
    const wrapped = await first.wrap(secretOf('a'));
    await first.close();
    for (const scryptLog2N of [CHEAP, CHEAP + 1]) {
      const later = await openWrapper(path, config, scryptLog2N);
      expect(contentOf(await later.unwrap(wrapped))).to.equal(contentOf(secretOf('a')));
      await later.close();
    }
  });

  it('opens what the same passphrase wrapped under an earlier salt', async () => {
    const path = await passphraseFile();
    const [earlier, later] = [await openWrapper(path), await openWrapper(path)];
    const wrapped = await earlier.wrap(secretOf('a'));
    expect(later.describe().id).not.to.equal(earlier.describe().id);
    expect(contentOf(await later.unwrap(wrapped))).to.equal(contentOf(secretOf('a')));
    await Promise.all([earlier.close(), later.close()]);
  });

  it('opens what anybody can make from the documented format', async () => {
    const path = await passphraseFile();
    const config = newPassphraseConfig(path);
    const [salt, nonce] = [Buffer.from(config.salt, 'hex'), Buffer.alloc(12, 7)];
    const header = Buffer.concat([Buffer.from('TGWP'), Uint8Array.of(1, 12, 8, 1), salt, nonce]);
    const key = scryptSync(PASSPHRASE, salt, 32, { N: 2 ** 12, r: 8, p: 1 });
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(header);
    const sealed = Buffer.concat([cipher.update(bytes32('a')), cipher.final()]);
    const wrapper = await openWrapper(path, config);
    const wrapped = Buffer.concat([header, sealed, cipher.getAuthTag()]);
    expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secretOf('a')));
    await wrapper.close();
  });

  it('never makes the same bytes twice, and never shows the secret in them', async () => {
    const wrapper = await openWrapper();
    const [first, second] = await Promise.all([wrapper.wrap(secretOf('a')), wrapper.wrap(secretOf('a'))]);
    expect(Buffer.from(first).equals(second)).to.equal(false);
    expect(Buffer.from(first).includes(Buffer.from(bytes32('a')))).to.equal(false);
    await wrapper.close();
  });

  it('refuses a wrapped key in which any byte was changed', async () => {
    const wrapper = await openWrapper();
    const wrapped = await wrapper.wrap(secretOf('a'));
    const codes = new Set<string>();
    for (let index = 0; index < wrapped.length; index += 1) {
      const inHeader = index <= 4 || index === 6 || index === 7;
      const code = inHeader ? 'wrapper.malformed' : 'wrapper.unwrap-failed';
      // log2 N becomes 11: allowed, derives another key, and fails.
      codes.add((await expectRefusal(code, () => wrapper.unwrap(withBitFlipped(wrapped, index)))).code);
    }
    expect([...codes].sort()).to.deep.equal(['wrapper.malformed', 'wrapper.unwrap-failed']);
    await expectRefusal('wrapper.unwrap-failed', () => wrapper.unwrap(wrapped.subarray(0, -1)));
    await expectRefusal('wrapper.malformed', () => wrapper.unwrap(wrapped.subarray(0, 52)));
    await expectRefusal('wrapper.malformed', () => wrapper.unwrap(new Uint8Array()));
    await wrapper.close();
  });

  it('refuses scrypt parameters that would take too much memory, or are not its own', async () => {
    const wrapper = await openWrapper();
    const wrapped = await wrapper.wrap(secretOf('a'));
    for (const log2N of [0, 1, 9, 19, 31, 63, 255]) {
      const error = await expectRefusal('wrapper.malformed', () =>
        wrapper.unwrap(withByte(wrapped, LOG2_N_OFFSET, log2N)),
      );
      expect(error.message).to.contain(`N = 2^${log2N}`);
    }
    for (const offset of [LOG2_N_OFFSET + 1, LOG2_N_OFFSET + 2]) {
      for (const value of [0, 255]) {
        await expectRefusal('wrapper.malformed', () => wrapper.unwrap(withByte(wrapped, offset, value)));
      }
    }
    for (const log2N of [9, 19, 10.5, Number.NaN]) {
      await expectRefusal('wrapper.bad-scrypt', () => openWrapper(undefined, undefined, log2N));
    }
    await wrapper.close();
  });

  it('refuses a wrong passphrase with the error of a changed file, and repeats neither', async () => {
    const path = await passphraseFile();
    const config = newPassphraseConfig(path);
    const wrapper = await openWrapper(path, config);
    const wrapped = await wrapper.wrap(secretOf('a'));
    const other = await openWrapper(await passphraseFile('another passphrase'), config);
    const error = await expectRefusal('wrapper.unwrap-failed', () => other.unwrap(wrapped));
    expect(inspect(error, { depth: 10 }))
      .not.to.contain('another passphrase')
      .and.not.to.contain(PASSPHRASE);
    await Promise.all([wrapper.close(), other.close()]);
  });

  it('takes the passphrase without the newline at its end, and nothing else off', async () => {
    const config = newPassphraseConfig('');
    const wrapper = await openWrapper(await passphraseFile(PASSPHRASE), config);
    const wrapped = await wrapper.wrap(secretOf('a'));
    for (const ending of ['\n', '\r\n']) {
      const same = await openWrapper(await passphraseFile(PASSPHRASE + ending), config);
      expect(contentOf(await same.unwrap(wrapped))).to.equal(contentOf(secretOf('a')));
      await same.close();
    }
    for (const ending of ['\n\n', ' ', '\t\n']) {
      const other = await openWrapper(await passphraseFile(PASSPHRASE + ending), config);
      await expectRefusal('wrapper.unwrap-failed', () => other.unwrap(wrapped));
      await other.close();
    }
    await wrapper.close();
  });

  it('refuses a passphrase file that is loose, short, too large, missing or no file', async () => {
    for (const mode of [0o640, 0o604, 0o620, 0o610, 0o601, 0o644]) {
      const path = await passphraseFile(undefined, mode);
      await expectRefusal('wrapper.file-permissions', () => openWrapper(path));
    }
    for (const short of ['', '\n', 'eleven char', 'eleven char\n']) {
      const path = await passphraseFile(short);
      const error = await expectRefusal('wrapper.secret-length', () => openWrapper(path));
      expect(error.message).not.to.contain('eleven');
    }
    const longest = await passphraseFile(`${'x'.repeat(1024)}\r\n`);
    await (await openWrapper(longest)).close();
    const long = await passphraseFile('x'.repeat(1025));
    await expectRefusal('wrapper.secret-length', () => openWrapper(long));
    const large = await passphraseFile('x'.repeat(1 << 20));
    await expectRefusal('wrapper.file-size', () => openWrapper(large));
    await expectRefusal('wrapper.file-missing', () => openWrapper(`${large}-absent`));
    const directory = await temporaryDirectory();
    await expectRefusal('wrapper.file-size', () => openWrapper(directory));
  });

  it('has the id of its salt, whatever the passphrase is, and shows neither passphrase nor key', async () => {
    const config = newPassphraseConfig('');
    const [one, other] = [
      await openWrapper(await passphraseFile(), config),
      await openWrapper(await passphraseFile('another passphrase'), config),
    ];
    expect(one.describe().id).to.equal(`passphrase:${config.salt.slice(0, 16)}`);
    expect(other.describe().id).to.equal(one.describe().id);
    expect(inspect(one, { showHidden: true, depth: 10 })).not.to.contain(PASSPHRASE);
    await Promise.all([one.close(), other.close()]);
  });

  it('refuses work after it was closed, also what had begun', async () => {
    const wrapper = await openWrapper();
    const wrapped = await wrapper.wrap(secretOf('a'));
    await wrapper.close();
    await wrapper.close();
    await expectRefusal('wrapper.closed', () => wrapper.wrap(secretOf('a')));
    await expectRefusal('wrapper.closed', () => wrapper.unwrap(wrapped));
    const other = await openWrapper();
    const begun = expectRefusal('wrapper.closed', () => other.wrap(secretOf('a')));
    await other.close();
    await begun;
  });
});
