/** The round's figures, for people. */

import type { PlainComparison } from '../../lib/trial/plain-comparison.js';
import type { RoundingCheck } from '../../lib/trial/rounding-check.js';
import type { Machine } from '../machine.js';
import { formatNumber, renderTable } from '../table.js';
import type { RoundFigures } from './round.js';

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

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(3)} %`;
}

/** "740000 of 8 bits, 1 in 17 bits on the wire", width by width. */
function widths({ arithmetic }: RoundFigures['plan']): string {
  const each = arithmetic.segments.map(
    ({ bits, valueCount, fold, wireBits }) =>
      `${valueCount} values of ${bits} bits, ${fold} in ${wireBits} bits on the wire`,
  );
  return `${each.join('; ')}; ${arithmetic.parameterSet}.`;
}

export function renderWholeRound(
  machine: Machine,
  figures: RoundFigures,
  comparison: PlainComparison,
  rounding: RoundingCheck,
): string {
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
      ['relative L2 error: rotation and stochastic rounding', percent(comparison.relativeError)],
      ['the same, expected of grids this fine', percent(comparison.expectedRelativeError)],
      ['cosine', comparison.cosine.toFixed(6)],
      [
        'values beyond the largest level, clamped to it',
        `${figures.saturatedValues} of ${values * figures.robots}`,
      ],
      [
        "opened sums that no rounding of the robots' values gives",
        `${rounding.outOfReach} of ${rounding.values}`,
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
    widths(figures.plan),
    `${figures.closedWith} updates opened; the round is closed.`,
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
