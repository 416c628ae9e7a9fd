/**
 * One whole round of a small adapter through the command line, made once for all tests that look at what it left. All
 * paths are relative to its directory. Tests that change something work on a copy.
 */
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { smolVlaConfig, type TensorShape } from '../../../lib/adapter/smolvla.js';
import { perturbAdapter, writeSyntheticAdapter } from '../../../lib/adapter/synthetic.js';
import { type Ended, succeed, twoAtATime } from './command.js';
import { temporaryDirectory } from './temporary-directory.js';

export const RANK = 4;

/** 1 ring element: what commands cost beside the process itself is next to nothing. */
export const SMALL_SHAPES: readonly TensorShape[] = [
  { name: 'base_model.model.policy.q_proj.lora_A.weight', shape: [RANK, 96] },
  { name: 'base_model.model.policy.q_proj.lora_B.weight', shape: [64, RANK] },
];

/** Enrolled; the last one has sealed nothing. */
export const CLIENTS = 5;
export const SEALED = 4;

export const clientId = (number: number): string => `client-${String(number).padStart(2, '0')}`;
export const clientDirectory = (number: number): string => `fleet/clients/${clientId(number)}`;
export const updateFile = (number: number): string => `updates/${clientId(number)}.tgu`;
/** What client `number` trained; `start` is what they all began with. */
export const adapterDirectory = (number: number): string => `adapters/${clientId(number)}`;

export interface SmallRound {
  readonly directory: string;
  /** What each command printed. */
  readonly ended: Readonly<Record<string, Ended & { readonly document: Record<string, unknown> }>>;
}

export async function writeSmallAdapters(directory: string): Promise<void> {
  const start = join(directory, 'adapters', 'start');
  await mkdir(join(directory, 'adapters'), { recursive: true });
  await writeSyntheticAdapter(start, { seed: 'start', shapes: SMALL_SHAPES, config: smolVlaConfig(RANK) });
  for (let number = 1; number <= CLIENTS; number += 1) {
    await perturbAdapter(start, join(directory, adapterDirectory(number)), { seed: clientId(number) });
  }
}

async function make(): Promise<SmallRound> {
  const directory = await temporaryDirectory();
  const at = { cwd: directory };
  await writeSmallAdapters(directory);
  const plan = ['--plan', 'R.tgp'];
  const fleet = await succeed(['fleet', 'init', 'fleet', '--clients', String(CLIENTS)], at);
  const planned = await succeed(
    ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--out', 'R.tgp'],
    at,
  );
  const seals = await twoAtATime(
    Array.from(
      { length: SEALED },
      (_, i) => () =>
        succeed(
          [
            'seal',
            adapterDirectory(i + 1),
            ...plan,
            '--client',
            clientDirectory(i + 1),
            '--out',
            updateFile(i + 1),
          ],
          at,
        ),
    ),
  );
  const aggregate = await succeed(
    ['aggregate', 'updates', ...plan, '--aggregator', 'fleet/aggregator', '--out', 'A.tga'],
    at,
  );
  const answers = await twoAtATime(
    [1, 2, 3].map(
      (index) => () =>
        succeed(
          [
            'custodian',
            'answer',
            'A.tga',
            ...plan,
            '--custodian',
            `fleet/custodians/custodian-${index}`,
            '--out',
            `S${index}.tgs`,
          ],
          at,
        ),
    ),
  );
  const owner = ['--owner', 'fleet/owner'];
  const opened = await succeed(
    ['open', 'A.tga', ...plan, ...owner, '--answers', 'S1.tgs', 'S2.tgs', 'S3.tgs', '--out', 'average'],
    at,
  );
  const closed = await succeed(['close', 'A.tga', ...plan, ...owner, '--out', 'R.tgc'], at);
  return {
    directory,
    ended: {
      'fleet init': fleet,
      plan: planned,
      seal: seals[0] as (typeof seals)[number],
      aggregate,
      'custodian answer': answers[0] as (typeof answers)[number],
      open: opened,
      close: closed,
    },
  };
}

let made: Promise<SmallRound> | undefined;

/** The round, closed. Read only: work on {@link copyOfSmallRound} to change anything. */
export function smallRound(): Promise<SmallRound> {
  made ??= make();
  return made;
}

/** A directory of its own with everything that the round left. */
export async function copyOfSmallRound(): Promise<string> {
  const { directory } = await smallRound();
  const copy = await temporaryDirectory();
  await cp(directory, copy, { recursive: true });
  return copy;
}
