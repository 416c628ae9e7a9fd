/** A whole round through the command line with real adapters, against the plain average. */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ADAPTER_CONFIG_FILE, loadPeftAdapter } from '../../lib/adapter/peft.js';
import { perturbAdapter } from '../../lib/adapter/synthetic.js';
import { documentOf, succeed, tensorguard, tensorguardEach, twoAtATime } from '../cli/support/command.js';
import { REAL_ADAPTERS, type RealAdapter, realAdapterDirectory } from '../support/real-adapters.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const CLIENTS = 16;
/** Of what one robot learns: a tenth of the adapter's own values, whose root mean square is 0.02. */
const PERTURBATION = 0.002;

const MAX_BYTES_AT_4_BITS = 1.45;
const MIN_COSINE_AT_4_BITS = 0.995;

/** The smaller of the two. */
const PROCESS_EACH: RealAdapter = 'gpt2-lora-r8';

/** The heads that these adapters carry whole. */
const POLICY = { envelope: { fullLayers: ['classifier', 'pre_classifier', 'score'] } };

/** What the planner promises of an update that fills its clip; at 8 bits it is a tenth of that. */
const MAX_SATURATED = 1e-3;

/** What `seal --json` says, as far as it is looked at. */
interface Sealed {
  readonly update: string;
  readonly values: number;
  readonly saturatedValues: number;
  readonly bytesPerValue: number;
}

const number = (client: number): string => String(client).padStart(2, '0');

/** Every tensor's plain average over the adapters, in double precision. */
async function plainAverage(directories: readonly string[]): Promise<Map<string, Float64Array>> {
  const sums = new Map<string, Float64Array>();
  for (const directory of directories) {
    const { tensors } = await loadPeftAdapter(directory);
    for (const name of tensors.names) {
      const values = new Float32Array(tensors.info(name).elementCount);
      await tensors.readTensor(name, values);
      const sum = sums.get(name) ?? new Float64Array(values.length);
      for (let i = 0; i < values.length; i += 1) {
        sum[i] = (sum[i] as number) + (values[i] as number) / directories.length;
      }
      sums.set(name, sum);
    }
    await tensors.close();
  }
  return sums;
}

function cosine(a: ReadonlyMap<string, Float64Array>, b: ReadonlyMap<string, Float64Array>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (const [name, x] of a) {
    const y = b.get(name);
    expect(y?.length, name).to.equal(x.length);
    for (let i = 0; i < x.length; i += 1) {
      const [p, q] = [x[i] as number, (y as Float64Array)[i] as number];
      ab += p * q;
      aa += p * p;
      bb += q * q;
    }
  }
  return ab / Math.sqrt(aa * bb);
}

function difference(
  a: ReadonlyMap<string, Float64Array>,
  b: ReadonlyMap<string, Float64Array>,
): Map<string, Float64Array> {
  return new Map(
    [...a].map(([name, values]) => [name, values.map((x, i) => x - (b.get(name)?.[i] as number))]),
  );
}

async function expectSameForm(written: string, original: string): Promise<void> {
  const [a, b] = await Promise.all([loadPeftAdapter(written), loadPeftAdapter(original)]);
  const form = ({ tensors }: typeof a): unknown =>
    [...tensors.names].sort().map((name) => {
      const { dtype, shape } = tensors.info(name);
      return { name, dtype, shape: [...shape] };
    });
  expect(form(a)).to.deep.equal(form(b));
  await Promise.all([a.tensors.close(), b.tensors.close()]);
  const configs = await Promise.all(
    [written, original].map((path) => readFile(join(path, ADAPTER_CONFIG_FILE))),
  );
  expect(configs[0]?.equals(configs[1] as Buffer), 'adapter_config.json, byte for byte').to.equal(true);
}

for (const name of REAL_ADAPTERS satisfies readonly RealAdapter[]) {
  describe(`a round of ${CLIENTS} clients with ${name}`, function () {
    this.timeout(120_000);

    let cwd = '';
    let original = '';
    let average: Map<string, Float64Array>;
    const adapters = Array.from({ length: CLIENTS }, (_, i) => `trained/${number(i + 1)}`);

    before(async function () {
      original = realAdapterDirectory(this, name);
      cwd = await temporaryDirectory();
      await mkdir(join(cwd, 'trained'));
      for (const adapter of adapters) {
        await perturbAdapter(original, join(cwd, adapter), {
          seed: adapter,
          standardDeviation: PERTURBATION,
        });
      }
      average = await plainAverage(adapters.map((adapter) => join(cwd, adapter)));
      await writeFile(join(cwd, 'policy.json'), JSON.stringify(POLICY));
      const init = ['fleet', 'init', 'fleet', '--clients', String(CLIENTS), '--policy', 'policy.json'];
      await succeed(init, { cwd });
    });
    // Sixteen adapters are too much to leave lying until all tests have ended.
    after(async () => {
      if (cwd !== '') await rm(cwd, { recursive: true, force: true });
    });

    /** A process each in the first round; elsewhere two, which take turns at their clients: starting takes the time. */
    async function sealAll(plan: string, index: number, base: readonly string[]): Promise<Sealed[]> {
      const commands = adapters.map((adapter, i) => {
        const client = ['--client', `fleet/clients/client-${number(i + 1)}`];
        const out = ['--out', `updates-${index}/${number(i + 1)}.tgu`];
        return ['seal', adapter, '--plan', plan, ...client, ...base, ...out, '--json'];
      });
      const ended =
        index === 1 && name === PROCESS_EACH
          ? await twoAtATime(commands.map((command) => () => tensorguard(command, { cwd })))
          : (
              await twoAtATime(
                [commands.slice(0, CLIENTS / 2), commands.slice(CLIENTS / 2)].map(
                  (half) => () => tensorguardEach(half, { cwd }),
                ),
              )
            ).flat();
      return ended.map((one) => {
        expect(one.exitCode, one.stderr).to.equal(0);
        return documentOf(one) as unknown as Sealed;
      });
    }

    async function round(
      index: number,
      planned: readonly string[],
      base: readonly string[],
    ): Promise<number> {
      const plan = `R${index}.tgp`;
      const at = { cwd };
      const like = ['plan', '--fleet', 'fleet', '--round', String(index), ...planned];
      await succeed([...like, '--out', plan], at);
      const sealed = await sealAll(plan, index, base);
      for (const { saturatedValues, values } of sealed) {
        expect(saturatedValues / values).to.be.below(MAX_SATURATED);
      }
      const aggregator = ['--aggregator', 'fleet/aggregator'];
      const sum = ['aggregate', `updates-${index}`, '--plan', plan, ...aggregator, '--out', `A${index}.tga`];
      expect((await succeed(sum, at)).document).to.deep.include({ accepted: CLIENTS, refused: [] });
      // Any three of the four; the first is away.
      const answers = await twoAtATime(
        [2, 3, 4].map((custodian) => async () => {
          const who = ['--custodian', `fleet/custodians/custodian-${custodian}`];
          const out = `S${index}-${custodian}.tgs`;
          await succeed(['custodian', 'answer', `A${index}.tga`, '--plan', plan, ...who, '--out', out], at);
          return out;
        }),
      );
      const owner = ['--plan', plan, '--owner', 'fleet/owner'];
      const updates = adapters.map((_, i) => `updates-${index}/${number(i + 1)}.tgu`);
      const open = [
        'open',
        `A${index}.tga`,
        ...owner,
        '--answers',
        ...answers,
        '--verify',
        ...updates,
        ...base,
      ];
      const opened = await succeed([...open, '--out', `average-${index}`], at);
      expect(opened.document).to.deep.include({ contributors: CLIENTS, verified: true, disagreeing: [] });
      const closed = await succeed(['close', `A${index}.tga`, ...owner, '--out', `R${index}.tgc`], at);
      expect(closed.document['opened']).to.have.members(sealed.map(({ update }) => update));
      await expectSameForm(join(cwd, `average-${index}`), original);
      return sealed[0]?.bytesPerValue as number;
    }

    it('opens the plain average to a cosine above 0.9999 at 8 bits', async () => {
      const bytesPerValue = await round(1, ['--like', original, '--bits', '8'], []);
      const opened = await plainAverage([join(cwd, 'average-1')]);
      const similarity = cosine(opened, average);
      console.log(
        `      ${name}: cosine ${similarity.toFixed(7)}, ${bytesPerValue.toFixed(3)} bytes a value`,
      );
      expect(similarity).to.be.above(0.9999);
    });

    it('sends differences to a base, and opens to the base plus their average', async () => {
      // What was sent in round 1 is another delta: the whole adapter.
      const base = ['--base', original];
      const bytesPerValue = await round(2, ['--like', adapters[0] as string, '--bits', '8', ...base], base);
      const start = await plainAverage([original]);
      const opened = await plainAverage([join(cwd, 'average-2')]);
      const similarity = cosine(opened, average);
      const ofDifferences = cosine(difference(opened, start), difference(average, start));
      console.log(
        `      ${name} with --base: cosine ${similarity.toFixed(7)} (of the differences alone ` +
          `${ofDifferences.toFixed(5)}), ${bytesPerValue.toFixed(3)} bytes a value`,
      );
      expect(similarity).to.be.above(0.9999);
      // Sixteen independent differences mostly cancel: beside their average rounding weighs four times as much.
      expect(ofDifferences).to.be.above(0.999);
    });

    if (name !== 'distilbert-imdb-lora-r8') return;

    it(`takes at most ${MAX_BYTES_AT_4_BITS} bytes a parameter at 4 bits, for a cosine of ${MIN_COSINE_AT_4_BITS}`, async () => {
      const planned = ['--like', original, '--bits', '4', '--max-clients', String(CLIENTS)];
      // Other deltas than those of round 1: each a tenth of the adapter's own size away from it.
      for (const adapter of adapters) {
        await rm(join(cwd, adapter), { recursive: true });
        await perturbAdapter(original, join(cwd, adapter), {
          seed: `${adapter} at 4 bits`,
          standardDeviation: PERTURBATION,
        });
      }
      const plain = await plainAverage(adapters.map((adapter) => join(cwd, adapter)));
      await round(3, planned, []);
      const { document } = await succeed(['inspect', 'R3.tgp'], { cwd });
      const { clip, tensors } = document['body'] as { clip: number; tensors: { shape: number[] }[] };
      const start = await plainAverage([original]);
      const norm = Math.sqrt(
        [...start.values()].reduce((sum, values) => sum + values.reduce((a, x) => a + x * x, 0), 0),
      );
      expect(clip / norm).to.be.at.most(1.5);
      const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      const { size } = await stat(join(cwd, 'updates-3/01.tgu'));
      const similarity = cosine(await plainAverage([join(cwd, 'average-3')]), plain);
      console.log(
        `      ${name} at 4 bits: cosine ${similarity.toFixed(5)}, ${(size / parameters).toFixed(3)} bytes a parameter`,
      );
      expect(similarity).to.be.at.least(MIN_COSINE_AT_4_BITS);
      // The whole file: header, signatures and sealed shares included.
      expect(size / parameters).to.be.at.most(MAX_BYTES_AT_4_BITS);
    });
  });
}
