import { expect } from 'chai';
import { z } from 'zod';
import { openRole } from '../../../lib/custody/role-directory.js';
import { openContainer } from '../../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import { ServedTestFleet } from '../support/served-fleet.js';
import { TestReleases, type TestVerdict } from '../support/test-releases.js';

const anything = z.unknown();
const codeOf = (error: { readonly code: string }): string => error.code;

describe('verdicts at the service', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  let releases: TestReleases;
  let candidate: string;
  let baseline: string;
  let verdict: TestVerdict;
  before(async () => {
    fleet = await ServedTestFleet.create(3);
    await fleet.start();
    releases = new TestReleases(fleet);
    candidate = await releases.adapter('candidate');
    baseline = await releases.adapter('baseline');
    verdict = await releases.verdict(candidate, baseline, 'failed');
  });
  after(() => fleet.stop());

  async function put(fingerprint: string, bytes: Uint8Array, as: 'owner' | 'client-1' = 'owner') {
    const api = await fleet.api(as);
    return api
      .putBytes(`/v1/verdicts/${fingerprint}`, bytes, 'named-by-path', anything)
      .then(() => undefined, codeOf);
  }

  /** The same verdict with changes, signed by a role of the fleet. */
  async function forged(
    role: 'owner' | 'coordinator',
    changes: { attempt?: number; fleet?: string; replaces?: Uint8Array },
  ): Promise<TestVerdict> {
    const opened = await openContainer(verdict.bytes, 'verdict');
    await opened.close();
    const { body } = opened;
    const signer = await openRole(fleet.role(role), role);
    const container = await encodeContainer({
      kind: 'verdict',
      body: { ...body, ...changes },
      sections: [],
      signer: signer.signing,
    });
    signer.close();
    const fingerprint = Buffer.from(container.envelope.fingerprint).toString('hex');
    return { fingerprint, bytes: containerBytes(container) };
  }

  it('are kept as the owner signed them, and may be sent again', async () => {
    expect(await put(verdict.fingerprint, verdict.bytes)).to.equal(undefined);
    expect(await put(verdict.fingerprint, verdict.bytes)).to.equal(undefined);
    const client = await fleet.api('client-1');
    const read = await client.getBytes(`/v1/verdicts/${verdict.fingerprint}`, 1e6);
    expect(Buffer.from(read).equals(verdict.bytes)).to.equal(true);
    const listed = await (await fleet.api('owner')).getJson(
      '/v1/verdicts',
      z.object({ verdicts: z.array(z.looseObject({ fingerprint: z.string(), outcome: z.string() })) }),
    );
    expect(listed.verdicts.map(({ fingerprint, outcome }) => [fingerprint, outcome])).to.deep.equal([
      [verdict.fingerprint, 'failed'],
    ]);
  });

  it('are refused under another name, damaged, cut off, of another kind', async () => {
    expect(await put('ab'.repeat(32), verdict.bytes)).to.equal('upload.other-fingerprint');
    const damaged = Uint8Array.from(verdict.bytes);
    damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] as number) ^ 1;
    expect(await put(verdict.fingerprint, damaged)).to.match(/^container\./);
    expect(await put(verdict.fingerprint, verdict.bytes.subarray(0, 200))).to.match(/^container\./);
    expect(await put(verdict.fingerprint, new TextEncoder().encode('passed'))).to.match(/^container\./);
    const planned = await fleet.plan(1);
    expect(await put(planned.plan, planned.bytes)).to.equal('container.wrong-kind');
  });

  it('are refused from anybody but the owner, whoever brings them', async () => {
    const coordinators = await forged('coordinator', { attempt: 1 });
    expect(await put(coordinators.fingerprint, coordinators.bytes)).to.match(/^container\./);
    expect(await put(verdict.fingerprint, verdict.bytes, 'client-1')).to.equal('auth.forbidden');
    const others = await forged('owner', { fleet: 'another' });
    expect(await put(others.fingerprint, others.bytes)).to.equal('verdict.other-fleet');
  });

  it('are one for each adapter: another is the next attempt, and names the one that it replaces', async () => {
    const twin = await forged('owner', {});
    expect(twin.fingerprint).to.not.equal(verdict.fingerprint);
    expect(await put(twin.fingerprint, twin.bytes)).to.equal('verdict.equivocation');
    const skipped = await forged('owner', { attempt: 2, replaces: new Uint8Array(32).fill(7) });
    expect(await put(skipped.fingerprint, skipped.bytes)).to.equal('verdict.other-attempt');
    const { verdicts } = fleet.service.context;
    const { body } = await openContainer(verdict.bytes, 'verdict');
    const adapter = Buffer.from(body.candidate).toString('hex');
    expect((await verdicts.on(adapter))?.outcome).to.equal('failed');
    await releases.putVerdict(await releases.verdict(candidate, baseline, 'passed', true));
    expect(await verdicts.on(adapter)).to.include({ outcome: 'passed', attempt: 2 });
    // The first one, sent late, changes nothing.
    expect(await put(verdict.fingerprint, verdict.bytes)).to.equal(undefined);
    expect(await verdicts.on(adapter)).to.include({ outcome: 'passed', attempt: 2 });
  });

  it('are answered with nothing where there is none', async () => {
    const code = await (await fleet.api('owner'))
      .getBytes(`/v1/verdicts/${'cd'.repeat(32)}`, 1e6)
      .catch(codeOf);
    expect(code).to.equal('request.not-found');
  });
});
