import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { MAX_SECRET_BYTES } from '../../../lib/custody/wrappers/key-wrapper.js';
import { type Attribute, resultOf } from '../../../lib/custody/wrappers/pkcs11-library.js';
import {
  createPkcs11Key,
  type Pkcs11Config,
  Pkcs11Wrapper,
} from '../../../lib/custody/wrappers/pkcs11-wrapper.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { bytes32, withBitFlipped } from '../support/bytes.js';
import { contentOf, secretOf } from './support/secrets.js';
import {
  addToken,
  createToken,
  PIN,
  requireSoftHsm,
  type SoftHsmToken,
  withToken,
} from './support/softhsm.js';

const CKA_VALUE = 0x11;

/** An AES key as somebody might make it who does not think about where it can go. */
function carelessKey(label: string, changes: readonly Attribute[]): Attribute[] {
  const usual: Attribute[] = [
    { type: 0x000, value: 4 },
    { type: 0x100, value: 0x1f },
    { type: 0x161, value: 32 },
    { type: 0x001, value: true },
    { type: 0x002, value: true },
    { type: 0x104, value: true },
    { type: 0x105, value: true },
    { type: 0x003, value: label },
    { type: 0x103, value: true },
    { type: 0x162, value: false },
  ];
  return usual.map((attribute) => changes.find((change) => change.type === attribute.type) ?? attribute);
}

describe('the PKCS#11 wrapper without an HSM', () => {
  const config: Pkcs11Config = {
    kind: 'pkcs11',
    module: 'none.so',
    tokenLabel: 'custody',
    keyLabel: 'wrapping-1',
    pinFile: 'pin',
  };

  it('says what to install where the package is missing, or is another package', async () => {
    const directory = await temporaryDirectory();
    const absent = async () => {
      throw new Error("Cannot find package 'pkcs11js'");
    };
    for (const importPkcs11 of [absent, async () => ({}), async () => ({ default: { PKCS11: 1 } })]) {
      const error = await expectRefusal('wrapper.pkcs11-package', () =>
        Pkcs11Wrapper.open(config, { directory, importPkcs11 }),
      );
      expect(error.message)
        .to.contain('npm install pkcs11js@2')
        .and.to.contain('apt-get install g++ make python3');
    }
  });
});

describe('the PKCS#11 wrapper', () => {
  let token: SoftHsmToken;
  let config: Pkcs11Config;
  let directory: string;

  const open = (changes: Partial<Pkcs11Config> = {}) =>
    Pkcs11Wrapper.open({ ...config, ...changes }, { directory });

  async function opened<T>(use: (wrapper: Pkcs11Wrapper) => Promise<T>, changes: Partial<Pkcs11Config> = {}) {
    const wrapper = await open(changes);
    try {
      return await use(wrapper);
    } finally {
      await wrapper.close();
    }
  }

  const generate = (template: Attribute[]) =>
    withToken(token, (cryptoki, session) => {
      cryptoki.C_GenerateKey(session, { mechanism: 0x1080 }, template);
    });

  before(async function () {
    requireSoftHsm(this);
    directory = await temporaryDirectory();
    token = await createToken(directory);
    const { module, tokenLabel } = token;
    config = { kind: 'pkcs11', module, tokenLabel, keyLabel: 'wrapping-1', pinFile: 'pin' };
    await createPkcs11Key(config, { directory });
  });

  it('gives back secrets of every allowed size', async () => {
    await opened(async (wrapper) => {
      for (const sizeBytes of [1, 32, 1216, MAX_SECRET_BYTES]) {
        const secret = SecretBytes.random(sizeBytes);
        const wrapped = await wrapper.wrap(secret);
        expect(wrapped).to.have.length(sizeBytes + 44);
        expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secret));
      }
      await expectRefusal('wrapper.secret-size', () =>
        wrapper.wrap(SecretBytes.random(MAX_SECRET_BYTES + 1)),
      );
      await expectRefusal('wrapper.secret-size', () => wrapper.wrap(SecretBytes.random(0)));
    });
  });

  it('never makes the same bytes twice, and never shows the secret in them', async () => {
    await opened(async (wrapper) => {
      const [first, second] = [await wrapper.wrap(secretOf('a')), await wrapper.wrap(secretOf('a'))];
      expect(Buffer.from(first).equals(second)).to.equal(false);
      expect(Buffer.from(first).includes(Buffer.from(bytes32('a')))).to.equal(false);
    });
  });

  it('opens in another process what was wrapped here', async () => {
    const wrapped = await opened((wrapper) => wrapper.wrap(secretOf('elsewhere')));
    const module = fileURLToPath(new URL('../../../lib/custody/wrappers/pkcs11-wrapper.js', import.meta.url));
    const script = `
      const { Pkcs11Wrapper } = await import(${JSON.stringify(module)});
      const wrapper = await Pkcs11Wrapper.open(${JSON.stringify(config)}, { directory: ${JSON.stringify(directory)} });
      const secret = await wrapper.unwrap(Buffer.from('${Buffer.from(wrapped).toString('hex')}', 'hex'));
      process.stdout.write(secret.use((bytes) => Buffer.from(bytes).toString('hex')));
      await wrapper.close();`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, ...token.env },
    });
    expect(stdout).to.equal(contentOf(secretOf('elsewhere')));
  });

  it('refuses a wrapped key in which any byte was changed, or that was cut', async () => {
    await opened(async (wrapper) => {
      const wrapped = await wrapper.wrap(secretOf('tampered'));
      for (let index = 0; index < wrapped.length; index += 1) {
        const code = index < 5 ? 'wrapper.malformed' : 'wrapper.unwrap-failed';
        await expectRefusal(code, () => wrapper.unwrap(withBitFlipped(wrapped, index)));
      }
      await expectRefusal('wrapper.unwrap-failed', () => wrapper.unwrap(wrapped.subarray(0, -1)));
      await expectRefusal('wrapper.malformed', () => wrapper.unwrap(wrapped.subarray(0, 44)));
      await expectRefusal('wrapper.malformed', () => wrapper.unwrap(new Uint8Array(MAX_SECRET_BYTES + 45)));
      expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secretOf('tampered')));
    });
  });

  it('does not open what another key of the token wrapped, and names both keys', async () => {
    const id = await createPkcs11Key({ ...config, keyLabel: 'wrapping-2' }, { directory });
    const wrapped = await opened((wrapper) => wrapper.wrap(secretOf('a')));
    await opened(
      async (wrapper) => {
        const error = await expectRefusal('wrapper.unwrap-failed', () => wrapper.unwrap(wrapped));
        expect(wrapper.describe().id).to.equal(id);
        expect(error.message)
          .to.contain(id)
          .and.to.match(/It names pkcs11:[0-9a-f]{16}/);
      },
      { keyLabel: 'wrapping-2' },
    );
  });

  it('describes itself with the same id every time, by labels and paths, without the PIN', async () => {
    const [first, second] = [
      await opened(async (wrapper) => wrapper.describe()),
      await opened(async (wrapper) => wrapper.describe()),
    ];
    expect(first).to.deep.equal(second);
    expect(first.id).to.match(/^pkcs11:[0-9a-f]{16}$/);
    expect(first.detail).to.include({ module: token.module, tokenLabel: 'custody', keyLabel: 'wrapping-1' });
    expect(JSON.stringify(first)).not.to.contain(PIN);
  });

  it('works twice in one process, whichever is closed first', async () => {
    const [first, second] = [await open(), await open()];
    const wrapped = await first.wrap(secretOf('shared'));
    await first.close();
    await first.close();
    expect(contentOf(await second.unwrap(wrapped))).to.equal(contentOf(secretOf('shared')));
    await expectRefusal('wrapper.closed', () => first.unwrap(wrapped));
    await second.close();
    await opened(async (third) => {
      expect(contentOf(await third.unwrap(wrapped))).to.equal(contentOf(secretOf('shared')));
    });
  });

  it('leaves a module alone that something else in the process initialized', async () => {
    await withToken(token, () => undefined);
    let wrapper: Pkcs11Wrapper | undefined;
    const { loadPkcs11Package } = await import('../../../lib/custody/wrappers/pkcs11-library.js');
    const cryptoki = new (await loadPkcs11Package()).PKCS11();
    cryptoki.load(token.module);
    cryptoki.C_Initialize({ flags: 2 });
    try {
      wrapper = await open();
      await wrapper.wrap(secretOf('a'));
      await wrapper.close();
      expect(cryptoki.C_GetSlotList(true)).not.to.have.length(0);
    } finally {
      cryptoki.C_Finalize();
    }
  });

  it('makes a key that the token does not hand out', async () => {
    const result = await withToken(token, (cryptoki, session) => {
      cryptoki.C_FindObjectsInit(session, [{ type: 0x003, value: 'wrapping-1' }]);
      const [key] = cryptoki.C_FindObjects(session, 2);
      cryptoki.C_FindObjectsFinal(session);
      if (key === undefined) throw new Error('the key is not there');
      expect(cryptoki.C_GetAttributeValue(session, key, [{ type: 0x165 }])[0]?.value[0]).to.equal(1);
      try {
        cryptoki.C_GetAttributeValue(session, key, [{ type: CKA_VALUE }]);
        return 'CKR_OK';
      } catch (error) {
        return resultOf(error)?.name;
      }
    });
    expect(result).to.equal('CKR_ATTRIBUTE_SENSITIVE');
  });

  it('refuses a key that the token would hand out, and one that is not AES-256', async () => {
    await generate(carelessKey('extractable', [{ type: 0x162, value: true }]));
    await generate(carelessKey('not-sensitive', [{ type: 0x103, value: false }]));
    await generate(carelessKey('short', [{ type: 0x161, value: 16 }]));
    for (const keyLabel of ['extractable', 'not-sensitive', 'short']) {
      await expectRefusal('wrapper.pkcs11-key-unsafe', () => open({ keyLabel }));
    }
  });

  it('refuses a label that two keys have, and one that none has', async () => {
    await generate(carelessKey('twice', []));
    await generate(carelessKey('twice', []));
    await expectRefusal('wrapper.pkcs11-key-unsafe', () => open({ keyLabel: 'twice' }));
    await expectRefusal('wrapper.pkcs11-key-missing', () => open({ keyLabel: 'never-made' }));
    await expectRefusal('wrapper.pkcs11-key-exists', () => createPkcs11Key(config, { directory }));
  });

  it('notices that its key was replaced by another of the same label', async () => {
    const replaced = { ...config, keyLabel: 'replaced' };
    await createPkcs11Key(replaced, { directory });
    const wrapper = await open({ keyLabel: 'replaced' });
    const wrapped = await wrapper.wrap(secretOf('a'));
    const destroy = ['--delete-object', '--type', 'secrkey', '--label', 'replaced'];
    await promisify(execFile)(
      'pkcs11-tool',
      ['--module', token.module, '--token-label', 'custody', '--login', '--pin', PIN, ...destroy],
      { env: { ...process.env, ...token.env } },
    );
    await wrapper.close();
    await createPkcs11Key(replaced, { directory });
    await opened(
      async (later) => {
        expect(later.describe().id).not.to.equal(wrapper.describe().id);
        await expectRefusal('wrapper.unwrap-failed', () => later.unwrap(wrapped));
      },
      { keyLabel: 'replaced' },
    );
  });

  it('refuses a wrong PIN without repeating it, and a PIN file that others may read', async () => {
    await writeFile(join(directory, 'wrong-pin'), 'not-the-pin\n', { mode: 0o600 });
    const error = await expectRefusal('wrapper.pkcs11-pin', () => open({ pinFile: 'wrong-pin' }));
    expect(error.message).to.contain('CKR_PIN_INCORRECT').and.not.to.contain('not-the-pin');
    await writeFile(join(directory, 'loose-pin'), `${PIN}\n`, { mode: 0o640 });
    await expectRefusal('wrapper.file-permissions', () => open({ pinFile: 'loose-pin' }));
    await expectRefusal('wrapper.file-missing', () => open({ pinFile: 'no-pin' }));
    await opened((wrapper) => wrapper.wrap(secretOf('the right PIN still works')));
  });

  it('refuses what is no PKCS#11 module, and a token that is not there', async () => {
    await writeFile(join(directory, 'no-module.so'), 'text');
    await expectRefusal('wrapper.pkcs11-module', () => open({ module: 'no-module.so' }));
    await expectRefusal('wrapper.pkcs11-module', () => open({ module: 'absent.so' }));
    const error = await expectRefusal('wrapper.pkcs11-token', () => open({ tokenLabel: 'elsewhere' }));
    expect(error.message).to.contain('Its tokens are: "custody"');
  });

  it('asks for the serial number where two tokens have one label', async () => {
    const { detail } = await opened(async (wrapper) => wrapper.describe());
    const serial = detail['tokenSerial'] ?? '';
    await addToken('custody');
    const error = await expectRefusal('wrapper.pkcs11-token', () => open());
    expect(error.message).to.contain(serial);
    await opened((wrapper) => wrapper.wrap(secretOf('a')), { tokenSerial: serial });
  });
});
