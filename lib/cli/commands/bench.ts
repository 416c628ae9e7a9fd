import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { encrypt } from '../../lwe/encrypt.js';
import { openAggregate } from '../../lwe/open.js';
import { type ParameterSetName, parameterSet } from '../../lwe/parameters.js';
import { type PlanSegment, planArithmetic } from '../../lwe/plan.js';
import { addCiphertexts } from '../../lwe/sum.js';
import { native, threadCount } from '../../native.js';
import { integerOption, parameterSetOption } from '../options.js';
import type { Output } from '../output.js';

interface BenchCommandOptions {
  readonly values: number;
  readonly bits: number;
  readonly clients: number;
  readonly threads?: number;
  readonly params: ParameterSetName;
}

const REPETITIONS = 7;

async function medianMs(work: () => Promise<unknown>): Promise<number> {
  await work();
  const times: number[] = [];
  for (let i = 0; i < REPETITIONS; i += 1) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[REPETITIONS >> 1] as number;
}

/** S from the one share a client that threshold 1 of 1 deals: the seed of its secret. */
function secretSum(
  name: ParameterSetName,
  planFingerprint: Uint8Array,
  seeds: readonly Uint8Array[],
): Int32Array {
  const set = parameterSet(name);
  const accumulator = new Uint32Array(set.n);
  for (const share of seeds) {
    native().addShare({
      parameterSet: set.nativeId,
      planFingerprint,
      threshold: 1,
      index: 1,
      share,
      accumulator,
    });
  }
  return Int32Array.from(accumulator, (residue) => (residue > set.q / 2 ? residue - set.q : residue));
}

export function benchCommand(command: Command, output: () => Output): Command {
  return command
    .description('measure encrypting, summing and opening on this machine (medians of seven)')
    .option('--values <n>', 'values an update', integerOption(1, 200_000_000), 740_000)
    .option('--bits <b>', 'bits a value, 2 to 8', integerOption(2, 8), 8)
    .option('--clients <n>', 'updates in the sum', integerOption(2, 256), 16)
    .option('--threads <n>', 'threads (default: all)', integerOption(1, 64))
    .addOption(parameterSetOption())
    .action(async (options: BenchCommandOptions) => {
      const plan = planArithmetic({
        parameterSet: options.params,
        maxClients: options.clients,
        segments: [{ bits: options.bits, valueCount: options.values }],
      });
      const threads = threadCount(options.threads);
      const planFingerprint = new Uint8Array(randomBytes(32));
      const seed = new Uint8Array(randomBytes(32));
      const prfKey = new Uint8Array(randomBytes(32));
      const [{ valueBound }] = plan.segments as [PlanSegment];
      const values = Int32Array.from(
        { length: options.values },
        (_, i) => (i % (2 * valueBound + 1)) - valueBound,
      );
      const request = { plan, seed, planFingerprint, prfKey, values, threshold: 1, custodians: 1, threads };
      const ciphertexts = Array.from({ length: options.clients }, () => new Uint8Array(plan.ciphertextBytes));
      const seeds: Uint8Array[] = [];
      for (const ciphertext of ciphertexts) seeds.push(...(await encrypt({ ...request, ciphertext })));

      const scratch = new Uint8Array(plan.ciphertextBytes);
      const encryptMs = await medianMs(() => encrypt({ ...request, ciphertext: scratch }));
      const sum = new Uint8Array(plan.ciphertextBytes);
      const sumMs = await medianMs(() => addCiphertexts(plan, ciphertexts, sum, threads));
      const sums = new Int32Array(plan.valueCount);
      const opening = {
        plan,
        seed,
        planFingerprint,
        aggregate: sum,
        secretSum: secretSum(options.params, planFingerprint, seeds),
        contributors: options.clients,
        values: sums,
        threads,
      };
      const openMs = await medianMs(() => openAggregate(opening));
      const result = {
        instructionSet: native().instructionSet,
        threads,
        values: options.values,
        bytesPerValue: plan.ciphertextBytes / options.values,
        encryptMs,
        encryptMillionValuesPerSecond: options.values / encryptMs / 1e3,
        sumMs,
        sumGigabytesPerSecond: (options.clients * plan.ciphertextBytes) / sumMs / 1e6,
        openMs,
        openNanosecondsPerValue: (openMs * 1e6) / options.values,
      };
      output().result(result, [
        `${result.instructionSet}, ${threads} threads, ${options.values} values of ${options.bits} bits, ${options.clients} clients; ${result.bytesPerValue.toFixed(3)} bytes a value`,
        `encrypt ${encryptMs.toFixed(2)} ms (${result.encryptMillionValuesPerSecond.toFixed(0)} million values/s, message digest included)`,
        `sum     ${sumMs.toFixed(2)} ms (${result.sumGigabytesPerSecond.toFixed(1)} GB/s)`,
        `open    ${openMs.toFixed(2)} ms (${result.openNanosecondsPerValue.toFixed(2)} ns a value)`,
      ]);
    });
}
