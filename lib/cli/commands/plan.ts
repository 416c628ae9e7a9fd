import { join } from 'node:path';
import type { Command } from 'commander';
import { openRole } from '../../custody/role-directory.js';
import { sharesSectionBytes } from '../../custody/sharing.js';
import { UsageError } from '../../errors.js';
import { writeContainer } from '../../package/writer.js';
import { planRound } from '../../round/plan-round.js';
import { RoundRecords } from '../../round/round-records.js';
import { readFleetFile } from '../fleet-file.js';
import { integerOption, PRESETS, positiveNumberOption } from '../options.js';
import { formatBytes, type Output } from '../output.js';

interface PlanCommandOptions {
  readonly fleet: string;
  readonly like: string;
  readonly base?: string;
  readonly clip?: number;
  readonly bits: number;
  readonly maxClients?: number;
  readonly quorum?: number;
  readonly round: number;
  readonly cohort: string;
  readonly deadlineMinutes?: number;
  readonly explain?: boolean;
  readonly out?: string;
}

export function planCommand(command: Command, output: () => Output): Command {
  return command
    .description('plan a round: what every client sends, at which precision, for how many')
    .requiredOption('--fleet <dir>', "the fleet's directory")
    .requiredOption('--like <adapter>', 'an adapter with the tensors that will be sent')
    .option('--base <adapter>', 'size the clip bounds by the difference between --like and this')
    .option('--clip <bound>', 'one clip bound for every tensor', positiveNumberOption)
    .option('--bits <b>', 'bits a value, 2 to 8', integerOption(2, 8), 8)
    .option(
      '--max-clients <n>',
      'clients in the sum at most (default: all that are active)',
      integerOption(2, 65_536),
    )
    .option('--quorum <n>', 'clients in the sum at least (default: 3)', integerOption(2, 65_536))
    .option('--round <n>', 'number of the round', integerOption(1, 2 ** 32 - 1), 1)
    .option('--cohort <name>', 'cohort of the fleet', 'all')
    .option('--deadline-minutes <m>', 'clients seal no later than this from now', integerOption(1, 525_600))
    .option('--explain', 'print what the plan costs, and write nothing')
    .option('--out <file>', 'the plan to write (.tgp)')
    .action(async (options: PlanCommandOptions) => {
      if (options.out === undefined && options.explain !== true) {
        throw new UsageError('usage.out', 'Give --out FILE, or --explain to write nothing.');
      }
      const fleet = await readFleetFile(options.fleet);
      const coordinator = await openRole(join(options.fleet, 'coordinator'), 'coordinator');
      const { roster } = coordinator;
      const active = roster.body.clients.filter(({ status }) => status === 'active').length;
      const { body, arithmetic } = await planRound({
        roster,
        like: options.like,
        ...(options.base !== undefined && { base: options.base }),
        ...(options.clip !== undefined && { clip: options.clip }),
        bits: options.bits,
        maxClients: options.maxClients ?? Math.max(active, 2),
        quorum: options.quorum ?? PRESETS[fleet.preset].quorum,
        round: options.round,
        policy: fleet.preset,
        cohort: options.cohort,
        parameterSet: fleet.parameterSet,
        ledgerHeads: await new RoundRecords(join(options.fleet, 'owner')).ledgerHeads(),
        ...(options.deadlineMinutes !== undefined && {
          deadline: Date.now() + options.deadlineMinutes * 60_000,
        }),
      });
      const sharesBytes = sharesSectionBytes(body);
      const sealedBytes = arithmetic.ciphertextBytes + sharesBytes;
      const cost = {
        values: arithmetic.valueCount,
        parameterSet: arithmetic.parameterSet,
        bits: arithmetic.bits,
        maxClients: arithmetic.maxClients,
        quorum: body.quorum,
        fieldBits: arithmetic.fieldBits,
        fold: arithmetic.fold,
        wireBits: arithmetic.wireBits,
        ciphertextBytes: arithmetic.ciphertextBytes,
        sharesBytes,
        sealedBytes,
        bytesPerValue: sealedBytes / arithmetic.valueCount,
        keepRatio: 1,
        epsilon: null,
      };
      const lines = [
        `${arithmetic.valueCount} values at ${arithmetic.bits} bits, up to ${arithmetic.maxClients} clients, quorum ${body.quorum}, ${arithmetic.parameterSet}.`,
        `On the wire: ${arithmetic.wireBits} bits for ${arithmetic.fold} value${arithmetic.fold === 1 ? '' : 's'}; ${formatBytes(sealedBytes)} an update ` +
          `(${cost.bytesPerValue.toFixed(3)} bytes a value, ${formatBytes(sharesBytes)} of it sealed shares).`,
        'Keep ratio 1. No differential privacy: epsilon is unbounded.',
      ];
      if (options.explain === true || options.out === undefined) {
        output().result({ ...cost, written: null }, lines);
        return;
      }
      const written = await writeContainer(options.out, {
        kind: 'plan',
        body,
        sections: [],
        signer: coordinator.signing,
      });
      output().result({ ...cost, written: options.out, fingerprint: written.envelope.fingerprint }, [
        ...lines,
        `Wrote ${options.out}.`,
      ]);
    });
}
