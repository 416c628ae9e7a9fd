/** The demo's figures, for people. */
import type { Machine } from '../machine.js';
import { formatNumber, renderTable } from '../table.js';
import type { PlainComparison } from './comparison.js';
import type { DemoFigures } from './round.js';

const FP32_BYTES = 4;

/** "12.3 each (11.9 to 14.0)", the median first. */
function each(milliseconds: readonly number[]): string {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const median = ((sorted[(sorted.length - 1) >> 1] as number) + (sorted[sorted.length >> 1] as number)) / 2;
  return `${formatNumber(median)} (${formatNumber(sorted[0] as number)} to ${formatNumber(sorted.at(-1) as number)})`;
}

function machineLines(machine: Machine): string[] {
  const signature = machine.cpuSignature === undefined ? '' : ` (${machine.cpuSignature})`;
  const clock = machine.clockMegahertz === undefined ? '' : `, ${machine.clockMegahertz} MHz`;
  return [
    `${machine.cpuModel}${signature}${clock}, ${machine.cores} threads, ${machine.platform}, Node ${machine.nodeVersion}`,
    `instruction set ${machine.instructionSet} (supported: ${machine.supportedInstructionSets.join(', ')})`,
  ];
}

export function renderDemo(machine: Machine, figures: DemoFigures, comparison: PlainComparison): string {
  const { arithmetic } = figures.plan;
  const { values } = comparison;
  const { milliseconds: ms } = figures;
  const originalBytes = values * FP32_BYTES;
  const size = renderTable(
    ['one update', 'bytes', 'bytes a parameter', 'of fp32'],
    [
      ['fp32', originalBytes],
      ['ciphertext on the wire', figures.ciphertextBytes],
      ['whole file: with sealed shares, header, signature', figures.updateFileBytes],
    ].map(([name, bytes]) => [
      String(name),
      String(bytes),
      (Number(bytes) / values).toFixed(3),
      `1/${formatNumber(originalBytes / Number(bytes))}`,
    ]),
  );
  const quality = renderTable(
    ['averaged delta, against the plain average', ''],
    [
      ['relative L2 error (quantization)', `${(100 * comparison.relativeError).toFixed(3)} %`],
      ['cosine', comparison.cosine.toFixed(6)],
      ['values clamped to their clip bound', `${figures.saturatedValues} of ${values * figures.robots}`],
      [
        'values that encrypting and summing changed',
        `${comparison.changedByEncryption} of ${comparison.values}`,
      ],
    ],
  );
  const time = renderTable(
    ['stage (files and keys read, verified and written)', 'ms'],
    [
      ['plan', formatNumber(ms.plan)],
      ['seal, each robot: median (range)', each(ms.seal)],
      [`aggregate ${figures.robots} updates`, formatNumber(ms.aggregate)],
      ['answer, each custodian: median (range)', each(ms.answer)],
      ['open, with the sum recomputed from the signed updates', formatNumber(ms.open)],
      ['close', formatNumber(ms.close)],
    ],
  );
  return [
    `${figures.robots} simulated robots, ${figures.threshold} of ${figures.custodians} custodians, ${values} parameters each ` +
      "(the shapes of SmolVLA's default LoRA, random values).",
    `${arithmetic.bits} bits a value, ${arithmetic.parameterSet}, ${arithmetic.fold} value${arithmetic.fold === 1 ? '' : 's'} ` +
      `in ${arithmetic.wireBits} bits on the wire. ${figures.closedWith} updates opened; the round is closed.`,
    ...machineLines(machine),
    '',
    size,
    '',
    quality,
    'These deltas are independent: their average shrinks as the quantization errors do. Where deltas agree, it does not.',
    '',
    time,
    'Training and key generation are not counted. Each stage ran once, the first with cold caches.',
  ].join('\n');
}
