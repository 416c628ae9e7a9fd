/**
 * The aggregator's memory does not grow with the number of updates.
 *
 * The updates are signed and well formed; ciphertext and sealed shares are random bytes, which is what both look like to
 * an aggregator, and which takes a thousandth of the time of sealing.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openKeyStore, ROSTER_FILE } from '../../lib/custody/role-directory.js';
import { sharesSectionBytes } from '../../lib/custody/sharing.js';
import { packageRoot } from '../../lib/native.js';
import { UPDATE_SCHEMA_VERSION } from '../../lib/package/messages/update.js';
import { openContainer } from '../../lib/package/reader.js';
import { createSigningKey, type SigningKey } from '../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import { documentOf, runNode, succeed } from '../cli/support/command.js';
import { writeSmallAdapters } from '../cli/support/small-round.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** Enough for code to be compiled and caches to be full. */
const FEW = 600;
const MANY = 1600;
/** An update's sealed shares alone have about 20,000. */
const MAX_GROWTH_BYTES_PER_UPDATE = 10_000;

/**
 * Writes the most memory that the process ever held, in bytes, to descriptor 3. Where there is a /proc, not from
 * getrusage: Linux starts its figure at what the parent held when it forked. Garbage is collected all along: what counts
 * is what is held, not how long V8 leaves garbage lying, which is several megabytes more or less each time.
 */
const REPORT_PEAK = `
  import { readFileSync, writeSync } from 'node:fs';
  let collected = performance.now();
  setInterval(() => {
    if (performance.now() < collected + 200) return;
    globalThis.gc();
    collected = performance.now();
  }, 50).unref();
  process.on('exit', () => {
    const kilobytes = process.platform === 'linux'
      ? Number(/VmHWM:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
      : process.resourceUsage().maxRSS;
    writeSync(3, String(kilobytes * 1024));
  });`;

/** A new version of the roster, by its owner, with as many clients as asked for. */
async function enrol(cwd: string, count: number): Promise<Map<string, SigningKey>> {
  const store = await openKeyStore(join(cwd, 'fleet/owner'), 'owner');
  const owner = await store.signing();
  store.close();
  const earlier = await openContainer(join(cwd, 'fleet', ROSTER_FILE), 'roster');
  const { body } = earlier;
  await earlier.close();
  const keys = Array.from({ length: count }, () => createSigningKey());
  const ids = keys.map((_, i) => `robot-${String(i).padStart(4, '0')}`);
  const roster = await encodeContainer({
    kind: 'roster',
    body: {
      ...body,
      version: body.version + 1,
      clients: keys.map(({ publicKeys }, i) => ({
        id: ids[i] as string,
        keys: publicKeys,
        status: 'active' as const,
      })),
    },
    sections: [],
    signer: owner,
  });
  for (const role of ['coordinator', 'aggregator']) {
    await writeFile(join(cwd, 'fleet', role, ROSTER_FILE), containerBytes(roster));
  }
  return new Map(keys.map((key, i) => [ids[i] as string, key]));
}

async function writeUpdates(cwd: string, clients: ReadonlyMap<string, SigningKey>): Promise<void> {
  const plan = await openContainer(join(cwd, 'R.tgp'), 'plan');
  await plan.close();
  const { fleet, policy, cohort, round, parameterSet, keyEpoch, adapterSchema, lwe } = plan.body;
  const ciphertextBytes = lwe.segments.reduce(
    (sum, { ringElements, wireBits }) => sum + (ringElements * 2048 * wireBits) / 8,
    0,
  );
  const sharesBytes = sharesSectionBytes(plan.body);
  for (const folder of ['few', 'rest']) await mkdir(join(cwd, folder));
  let written = 0;
  for (const [client, signer] of clients) {
    const update = await encodeContainer({
      kind: 'update',
      body: {
        ...{ schema: UPDATE_SCHEMA_VERSION, fleet, policy, cohort, round, plan: plan.fingerprint, client },
        ...{ parameterSet, keyEpoch, adapterSchema },
        targets: { modules: ['base_model.model.policy.q_proj'], adapterIds: [] },
        compression: {
          originalBytes: 640 * 4,
          sealedBytes: ciphertextBytes + sharesBytes,
          bits: 4,
        },
        timingsMs: { compress: 1, encrypt: 1 },
      },
      sections: [
        { name: 'ciphertext', data: new Uint8Array(randomBytes(ciphertextBytes)) },
        { name: 'shares', data: new Uint8Array(randomBytes(sharesBytes)) },
      ],
      signer,
    });
    const path = join(cwd, written < FEW ? 'few' : 'rest', `${client}.tgu`);
    await writeFile(path, containerBytes(update));
    written += 1;
  }
}

async function peakBytes(cwd: string, sources: readonly string[], accepted: number): Promise<number> {
  const report = `data:text/javascript,${encodeURIComponent(REPORT_PEAK)}`;
  const command = join(packageRoot(), 'dist', 'bin', 'tensorguard-native.js');
  const args = [
    'aggregate',
    ...sources,
    '--plan',
    'R.tgp',
    '--aggregator',
    'fleet/aggregator',
    '--out',
    'A.tga',
  ];
  const node = ['--expose-gc', '--max-semi-space-size=1', '--import', report];
  const ended = await runNode([...node, command, ...args, '--json'], { cwd });
  expect(ended.exitCode, ended.stderr).to.equal(0);
  expect(documentOf(ended)).to.deep.include({ accepted, refused: [] });
  // It takes more than a second, and this is no terminal: nothing of its progress may be here.
  expect(ended.stderr).to.equal('');
  return Number(ended.extra);
}

describe('aggregating many updates', function () {
  this.timeout(120_000);

  it(`takes less than ${MAX_GROWTH_BYTES_PER_UPDATE} bytes of memory more for each`, async () => {
    const cwd = await temporaryDirectory();
    await writeSmallAdapters(cwd);
    await succeed(['fleet', 'init', 'fleet', '--clients', '3'], { cwd });
    const clients = await enrol(cwd, MANY);
    const plan = ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--bits', '4'];
    await succeed([...plan, '--max-clients', String(MANY), '--out', 'R.tgp'], { cwd });
    await writeUpdates(cwd, clients);
    const few = await peakBytes(cwd, ['few'], FEW);
    const many = await peakBytes(cwd, ['few', 'rest'], MANY);
    const growth = (many - few) / (MANY - FEW);
    const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
    console.log(
      `      ${FEW} updates: ${mib(few)} MiB, ${MANY}: ${mib(many)} MiB; ${Math.round(growth)} bytes an update`,
    );
    expect(growth).to.be.below(MAX_GROWTH_BYTES_PER_UPDATE);
  });
});
