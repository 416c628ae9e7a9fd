import { join } from 'node:path';
import { expect } from 'chai';
import { readTokenFile } from '../../lib/cli/token-file.js';
import { replaceFile } from '../../lib/files.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const TOKEN = `tgt_${'0a'.repeat(8)}_${'x'.repeat(43)}`;

describe('a token file', () => {
  it('takes a token from a file that only its user reads, as it is at that moment', async () => {
    const file = join(await temporaryDirectory(), 'token');
    await expectRefusal('token.file-unreadable', () => readTokenFile(file));
    await replaceFile(file, `${TOKEN}\n`, { mode: 0o600 });
    expect(await readTokenFile(file)).to.equal(TOKEN);
    await replaceFile(file, 'tgt_no', { mode: 0o600 });
    await expectRefusal('token.bad-file', () => readTokenFile(file));
    await replaceFile(file, TOKEN, { mode: 0o644 });
    await expectRefusal('storage.permissions', () => readTokenFile(file));
  });
});
