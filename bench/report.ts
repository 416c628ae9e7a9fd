/** The results, for people: every figure beside what it is measured against. */
import type { Ceilings } from './ceiling.js';
import type { EncryptFigures } from './encrypt.js';
import type { Machine } from './machine.js';
import { type Absent, isAbsent } from './measure.js';
import type { PipelineFigures } from './pipeline.js';
import type { BenchmarkResults, NotMeasured } from './run.js';
import type { SealComparison, SideBySide } from './seal-comparison.js';
import { formatNumber, formatSpread, renderTable } from './table.js';
import { judgeTargets, TARGET_MACHINE } from './targets.js';
import type { WorkloadFigures } from './workload.js';

function describe(machine: Machine, { before, after }: BenchmarkResults['load']): string {
  const cache = machine.lastLevelCacheBytes;
  const signature = machine.cpuSignature === undefined ? '' : ` (${machine.cpuSignature})`;
  const clock =
    machine.clockMegahertz === undefined
      ? 'clock not told by the system'
      : `${machine.clockMegahertz} MHz as the system gives it`;
  const lines = [
    `${machine.cpuModel}${signature}, ${machine.cores} cores, ${clock}`,
    `last-level cache ${cache === undefined ? 'unknown' : `${formatNumber(cache / 2 ** 20)} MiB`}, memory ` +
      `${formatNumber(machine.memoryBytes / 2 ** 30)} GiB`,
    `${machine.platform}, Node ${machine.nodeVersion}, OpenSSL ${machine.opensslVersion}, addon built by ` +
      `${machine.compiler ?? 'an unknown compiler'}`,
    `kernels: ${machine.instructionSet}; supported: ${machine.supportedInstructionSets.join(', ')}`,
    `load average ${formatNumber(before)} before, ${formatNumber(after)} after`,
  ];
  if (before > 0.5 || after > 1.5)
    lines.push(
      'Other work ran at the same time: rates are too low, ratios uncertain (less so with --clock processor).',
    );
  return lines.join('\n');
}

function plan({ bits, maxClients, fold, wireBits, valueCount }: WorkloadFigures): string {
  return `${bits}-bit, ${maxClients} clients (fold ${fold}, k = ${wireBits}), ${valueCount} values`;
}

function pipelineSection(figures: PipelineFigures): string {
  return [
    `From a delta to integers, one thread (${figures.instructionSet}), ${figures.valueCount} values, blocks of ${2 ** figures.blockLog2}`,
    renderTable(
      ['', 'ns a value', 'M values/s'],
      [
        ['rotate', formatSpread(figures.rotateNsPerValue), ''],
        ['clip and quantize (digest counted)', formatSpread(figures.quantizeNsPerValue), ''],
        ['both in a row', '', formatSpread(figures.rotateAndQuantizeMillionValuesPerSecond)],
        ...figures.noise.map(({ thresholds, nsPerValue }) => [
          `noise from a table of ${thresholds}`,
          formatSpread(nsPerValue),
          '',
        ]),
      ],
    ),
  ].join('\n');
}

function encryptSection(figures: readonly EncryptFigures[], notMeasured: readonly NotMeasured[]): string {
  const rows = figures.map((entry) => [
    `${entry.instructionSet.padEnd(6)}  ${plan(entry.workload)}`,
    formatSpread(entry.millionCoefficientsPerSecond),
    formatSpread(entry.millionValuesPerSecond),
    formatSpread(entry.timesScalar),
    formatSpread(entry.digestMillionValuesPerSecond),
    formatSpread(entry.wholeMillionCoefficientsPerSecond),
  ]);
  const absent = notMeasured.map((entry) => `${entry.instructionSet}: not measured, ${entry.absent}.`);
  return [
    'Encrypt, integers to packed bytes, one thread (the message digest for hedging apart, and counted in the last column)',
    renderTable(['', 'M coefficients/s', 'M values/s', 'x scalar', 'digest M values/s', 'with digest'], rows),
    ...absent,
  ].join('\n');
}

function ceilingSection(ceilings: Ceilings): string {
  const title =
    'Ceiling of encrypt here: 6 bytes of ChaCha20 and one inverse transform a coefficient, each measured alone';
  if (isAbsent(ceilings)) return `${title}\nNot measured: ${ceilings.absent}.`;
  const rows = ceilings.map((entry) =>
    isAbsent(entry)
      ? [entry.instructionSet, `not measured: ${entry.absent}`]
      : [
          entry.instructionSet,
          formatSpread(entry.keystreamNsPerByte),
          formatSpread(entry.transformNsPerCoefficient),
          formatSpread(entry.encryptNsPerCoefficient),
          formatNumber(entry.ceilingMillionCoefficientsPerSecond),
          formatNumber(entry.encryptShareOfCeiling),
        ],
  );
  return [
    title,
    renderTable(
      [
        '',
        'keystream ns/byte',
        'transform ns/coef.',
        'encrypt ns/coef.',
        'ceiling M coef./s',
        'encrypt / ceiling',
      ],
      rows,
    ),
  ].join('\n');
}

function openSection(figures: NonNullable<BenchmarkResults['open']>): string {
  const rows = figures.map((entry) => [
    `N = ${String(entry.contributors).padEnd(4)}  ${plan(entry.workload)}`,
    formatSpread(entry.nsPerCoefficient),
    formatSpread(entry.millionValuesPerSecond),
  ]);
  return [
    `Open a sum of N updates, one thread (${figures[0]?.instructionSet})`,
    renderTable(['', 'ns/coefficient', 'M values/s'], rows),
  ].join('\n');
}

function sumSection(figures: NonNullable<BenchmarkResults['sum']>): string {
  const rows = figures.map((entry) => [
    `from ${entry.where}: ${entry.updates} updates, ${formatNumber(entry.inputBytes / 1e6)} MB`,
    formatSpread(entry.sumGigabytesPerSecond),
    formatSpread(entry.copyGigabytesPerSecond),
    formatSpread(entry.shareOfCopy),
  ]);
  return [
    `Sum, packed in, packed out, one thread (${figures[0]?.instructionSet}); GB/s of the bytes read`,
    renderTable(['', 'sum GB/s', 'copy GB/s', 'sum / copy'], rows),
  ].join('\n');
}

function sealRows(comparison: SealComparison): string[][] {
  const row = (name: string, entry: SideBySide) => [
    name,
    formatSpread(entry.tensorguardMillionValuesPerSecond),
    formatSpread(entry.sealMillionValuesPerSecond),
    `${formatSpread(entry.timesSeal)} x`,
  ];
  return [
    row('encrypt (CKKS: public key, encoding not counted)', comparison.encrypt),
    row('encrypt (CKKS: public key, encoding counted)', comparison.encodeEncrypt),
    row('encrypt (CKKS: secret key, seeded, encoding not counted)', comparison.symmetricEncrypt),
    row('add two updates', comparison.add),
    row('decrypt (CKKS: decoding not counted)', comparison.decrypt),
    row('decrypt (CKKS: decoding counted)', comparison.decryptDecode),
  ];
}

function sealSection(comparison: SealComparison | Absent): string {
  if (isAbsent(comparison)) return `CKKS in node-seal: not measured, ${comparison.absent}.`;
  const { tensorguard, seal, sealCompressed, sealSymmetricSeeded } = comparison.bytesPerValue;
  const bytes = (name: string, value: number) => [
    name,
    formatNumber(value),
    value === tensorguard ? '' : `1 / ${formatNumber(value / tensorguard)}`,
  ];
  return [
    `Against CKKS in node-seal ${comparison.sealVersion} (WebAssembly; n = 8192, moduli 60, 40, 40 bits), one process, the ` +
      `same values: ${plan(comparison.workload)}; ours on ${comparison.instructionSet}, digest counted`,
    renderTable(['M values/s', 'tensorguard', 'CKKS', 'ratio'], sealRows(comparison)),
    '',
    renderTable(
      ['ciphertext', 'bytes a value', 'tensorguard / it'],
      [
        bytes('tensorguard', tensorguard),
        bytes('CKKS, public key, not compressed', seal),
        bytes('CKKS, public key, zstd', sealCompressed),
        bytes('CKKS, secret key, seeded, not compressed', sealSymmetricSeeded),
      ],
    ),
  ].join('\n');
}

function contextSection(context: NonNullable<BenchmarkResults['context']>): string {
  return [
    `For context, on a buffer of ${formatNumber(context.bufferBytes / 2 ** 20)} MiB`,
    renderTable(
      ['', 'GB/s'],
      [
        ['SHA-256 (OpenSSL)', formatSpread(context.sha256GigabytesPerSecond)],
        ['copy', formatSpread(context.copyGigabytesPerSecond)],
      ],
    ),
  ].join('\n');
}

function targetSection(results: BenchmarkResults): string {
  const rows = judgeTargets(results).map(({ name, requirement, unit, measured, verdict }) => [
    name,
    `${requirement} ${unit}`,
    typeof measured === 'number' ? formatNumber(measured) : '-',
    typeof measured === 'number' ? verdict : `${verdict}: ${measured.absent}`,
  ]);
  return [
    `Targets (the absolute rates were set on ${TARGET_MACHINE}; this machine is named above)`,
    renderTable(['', 'target', 'measured', 'verdict'], rows),
  ].join('\n');
}

/** All that was measured, as plain text. */
export function renderReport(results: BenchmarkResults): string {
  const { machine, pipeline, encrypt, ceilings, open, sum, seal, context } = results;
  const sections = [
    describe(machine, results.load),
    `Medians of ${results.rounds} interleaved rounds (CKKS: a third of them), with the smallest and the largest; ` +
      (results.clock === 'wall'
        ? 'wall-clock time.'
        : 'processor time, which leaves out waiting for the processor.'),
  ];
  if (pipeline) sections.push(pipelineSection(pipeline));
  if (encrypt) sections.push(encryptSection(encrypt, results.notMeasured));
  if (ceilings) sections.push(ceilingSection(ceilings));
  if (open) sections.push(openSection(open));
  if (sum) sections.push(sumSection(sum));
  if (seal) sections.push(sealSection(seal));
  if (context) sections.push(contextSection(context));
  sections.push(targetSection(results));
  return `${sections.join('\n\n')}\n`;
}
