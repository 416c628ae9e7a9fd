import { type Command, Option } from 'commander';
import {
  type AdapterDifference,
  compareAdapters,
  type DifferenceNorms,
} from '../../adapter/adapter-difference.js';
import { compareConfigs, type SettingChange } from '../../adapter/config-difference.js';
import { type Compared, withCompared } from '../compared-adapters.js';
import type { Output } from '../output.js';
import { type Column, textTable } from '../text-table.js';

interface ReleaseDiffOptions {
  readonly client?: string;
  readonly by: 'tensor' | 'module';
}

const COLUMNS: readonly Column[] = [
  { title: 'relative', align: 'right' },
  { title: 'L2 of A', align: 'right' },
  { title: 'L2 of B', align: 'right' },
  { title: 'L2 of B - A', align: 'right' },
  { title: 'cosine', align: 'right' },
  { title: '', align: 'left' },
];
const MAX_SETTING_CHARACTERS = 60;

/** What is not defined is a dash: A is zero, or has no direction. */
function row(name: string, { relative, normA, normB, normDifference, cosine }: DifferenceNorms): string[] {
  return [
    relative === undefined ? '-' : `${(relative * 100).toFixed(2)} %`,
    ...[normA, normB, normDifference].map((norm) => norm.toPrecision(4)),
    cosine === undefined ? '-' : cosine.toFixed(6),
    name,
  ];
}

function nameOf({ path, counter }: Compared): string {
  return counter === undefined ? path : `${path}, release ${counter}`;
}

function settingLine({ name, a, b }: SettingChange): string {
  const [before, after] = [a, b].map((value) =>
    value === undefined ? 'absent' : JSON.stringify(value).slice(0, MAX_SETTING_CHARACTERS),
  );
  return `setting ${name}: ${before}, then ${after}`;
}

function differenceLines(difference: AdapterDifference, by: ReleaseDiffOptions['by']): string[] {
  const { onlyInA, onlyInB, shapeChanges, tensors, modules, total } = difference;
  const rows =
    by === 'tensor'
      ? tensors.map((tensor) => row(tensor.name, tensor))
      : modules.map((module) => row(module.module, module));
  return [
    ...onlyInA.map((name) => `only in A: ${name}`),
    ...onlyInB.map((name) => `only in B: ${name}`),
    ...shapeChanges.map(
      ({ name, a, b }) => `other shape: ${name}: [${a.join(', ')}], then [${b.join(', ')}]`,
    ),
    ...textTable(COLUMNS, [...rows, row(`total of ${tensors.length} tensors`, total)]),
  ];
}

export function releaseDiffCommand(command: Command, output: () => Output): Command {
  return command
    .description('how one adapter differs from another, tensor by tensor, the largest relative change first')
    .argument('<a>', 'an adapter directory, or a release (.tgr)')
    .argument('<b>', 'what it is compared with')
    .option('--client <dir>', 'the client whose keys open releases; its record of releases stays as it is')
    .addOption(
      new Option('--by <what>', 'a line for each tensor or each module')
        .choices(['tensor', 'module'])
        .default('tensor'),
    )
    .action(async (pathA: string, pathB: string, { client, by }: ReleaseDiffOptions) => {
      await withCompared([pathA, pathB], client, async (a, b) => {
        const settings = compareConfigs(a.adapter.config, b.adapter.config);
        const difference = await compareAdapters(a.adapter.tensors, b.adapter.tensors);
        const side = ({ path, counter }: Compared) => ({ path, ...(counter !== undefined && { counter }) });
        output().result({ a: side(a), b: side(b), settings, ...difference }, [
          `A: ${nameOf(a)}`,
          `B: ${nameOf(b)}`,
          ...settings.map(settingLine),
          ...differenceLines(difference, by),
        ]);
      });
    });
}
