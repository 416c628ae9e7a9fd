import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { PAGE_POLICY, type PageFiles, readPage } from '../../lib/dashboard/page-files.js';
import { PAGE_PATHS } from '../../lib/server/routes/page.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** Of everything that a browser loads. */
const BUDGET_BYTES = 150_000;

describe("the dashboard's files", () => {
  let page: PageFiles;

  before(async () => {
    page = await readPage();
  });

  const answer = (path: string, headers: { ifNoneMatch?: string; acceptEncoding?: string } = {}) =>
    page.answer({ path, ifNoneMatch: headers.ifNoneMatch, acceptEncoding: headers.acceptEncoding });

  it('are smaller than the budget, together and compressed', () => {
    expect(page.zippedBytes).to.be.lessThan(BUDGET_BYTES);
    // A page that was not bundled would be small as well.
    expect(page.zippedBytes).to.be.greaterThan(5000);
  });

  it('are those that the server has routes for', () => {
    for (const path of PAGE_PATHS) expect(answer(path)?.status, path).to.equal(200);
    expect(answer('/dashboard/')).to.equal(undefined);
    expect(answer('/dashboard/page.js.map')).to.equal(undefined);
  });

  it('are compressed for whoever takes that, and the same otherwise', () => {
    for (const path of PAGE_PATHS) {
      const plain = answer(path, { acceptEncoding: 'gzip;q=0, identity' });
      const zipped = answer(path, { acceptEncoding: 'br, gzip' });
      expect(plain?.headers).not.to.have.property('content-encoding');
      expect(zipped?.headers).to.include({ 'content-encoding': 'gzip', vary: 'accept-encoding' });
      expect(gunzipSync(zipped?.body ?? new Uint8Array()).equals(plain?.body ?? new Uint8Array())).to.equal(
        true,
      );
    }
  });

  it('are not sent again to whoever has them', () => {
    const etag = answer('/dashboard/page.js')?.headers['etag'] ?? '';
    expect(answer('/dashboard/page.js', { ifNoneMatch: etag })).to.deep.include({
      status: 304,
      body: new Uint8Array(),
    });
    expect(answer('/dashboard/page.css', { ifNoneMatch: etag })?.status).to.equal(200);
  });

  it('take script, style and data from the server alone, and no string as markup', () => {
    expect(answer('/')?.headers['content-security-policy']).to.equal(PAGE_POLICY);
    expect(PAGE_POLICY).not.to.match(/unsafe|\*|https?:|data:|blob:/);
    for (const rule of ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'"]) {
      expect(PAGE_POLICY.split('; ')).to.include(rule);
    }
    const text = new TextDecoder().decode(answer('/')?.body);
    // No inline script, handler or style: the policy would stop them.
    expect(text).not.to.match(/<script(?![^>]*src=)|<style|\son[a-z]+=|\sstyle=/i);
    expect(text.match(/(?:src|href)="[^"]*"/g)?.every((each) => /="\/dashboard\//.test(each))).to.equal(true);
  });

  it('are asked for where they were not built', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'index.html'), '<!doctype html>');
    await expectRefusal('dashboard.not-built', () => readPage(directory));
  });
});
