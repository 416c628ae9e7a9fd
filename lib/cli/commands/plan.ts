import { join } from 'node:path';
import type { Command } from 'commander';
import { openRole } from '../../custody/role-directory.js';
import { sharesSectionBytes } from '../../custody/sharing.js';
import { effectiveNoiseMultiplier } from '../../custody/trusted-plan.js';
import { UsageError } from '../../errors.js';
import { writeContainer } from '../../package/writer.js';
import { keepRatioOf } from '../../round/plan-facts.js';
import { type PlannedRound, planRound } from '../../round/plan-round.js';
import { readRolePolicy } from '../../round/role-policy.js';
import { roundEpsilon } from '../../round/round-privacy.js';
import { RoundRecords } from '../../round/round-records.js';
import { readFleetFile } from '../fleet-file.js';
import { integerOption, positiveNumberOption } from '../options.js';
import { formatBytes, type Output } from '../output.js';
import { type CompressionOptions, compressionOptions, policyOverrides } from '../policy-options.js';

interface PlanCommandOptions extends CompressionOptions {
  readonly fleet: string;
  readonly like: string;
  readonly base?: string;
  readonly clip?: number;
  readonly maxClients?: number;
  readonly quorum?: number;
  readonly round: number;
  readonly cohort: string;
  readonly experts?: boolean;
  readonly deadlineMinutes?: number;
  readonly explain?: boolean;
  readonly out?: string;
}

function privacyCost({ body, arithmetic }: PlannedRound): Record<string, unknown> | null {
  const { privacy, quorum } = body;
  if (privacy === undefined) return null;
  return {
    mechanism: privacy.mechanism,
    noiseMultiplier: effectiveNoiseMultiplier(privacy, quorum),
    colluders: privacy.colluders,
    delta: privacy.delta,
    epsilonPerRound: roundEpsilon(privacy, arithmetic.valueCount, quorum),
    noiseToSignal: noiseToSignal({ body, arithmetic }),
  };
}

/** Standard deviation of the average's noise over the root mean square of its values, if each client sends up to the clip. */
function noiseToSignal({ body, arithmetic }: Pick<PlannedRound, 'body' | 'arithmetic'>): number {
  const { privacy, clip, tensors, lwe } = body;
  if (privacy === undefined) return 0;
  const scale = (tensors[0] as { scale: number }).scale;
  const noise = Math.sqrt(privacy.clientVariance / lwe.maxClients) * scale;
  return noise / (clip / Math.sqrt(arithmetic.valueCount));
}

function costOf(planned: PlannedRound): Record<string, unknown> & { readonly bytesPerValue: number } {
  const { body, arithmetic, expected } = planned;
  const privacy = privacyCost(planned);
  const sharesBytes = sharesSectionBytes(body);
  const sealedBytes = arithmetic.ciphertextBytes + sharesBytes;
  const parameters = body.tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  return {
    parameters,
    values: arithmetic.valueCount,
    parameterSet: arithmetic.parameterSet,
    maxClients: arithmetic.maxClients,
    quorum: body.quorum,
    segments: arithmetic.segments.map(({ bits, valueCount, fieldBits, fold, wireBits }) => ({
      bits,
      valueCount,
      fieldBits,
      fold,
      wireBits,
    })),
    ciphertextBytes: arithmetic.ciphertextBytes,
    sharesBytes,
    sealedBytes,
    bytesPerValue: sealedBytes / arithmetic.valueCount,
    bytesPerParameter: sealedBytes / parameters,
    keepRatio: keepRatioOf(body),
    clip: body.clip,
    expected,
    experts: body.experts?.map(({ name }) => name) ?? null,
    loraMode: body.loraMode,
    privacy,
    epsilon: (privacy?.['epsilonPerRound'] as number | undefined) ?? null,
  };
}

function percent(fraction: number): string {
  return `${(100 * fraction).toPrecision(3)} %`;
}

function explain(planned: PlannedRound): string[] {
  const { body, arithmetic, expected } = planned;
  const cost = costOf(planned);
  const lines = [
    `${cost['parameters']} parameters, ${arithmetic.valueCount} of them sent (keep ratio ${keepRatioOf(body).toPrecision(3)}); ` +
      `up to ${arithmetic.maxClients} clients, quorum ${body.quorum}, ${arithmetic.parameterSet}.`,
    ...arithmetic.segments.map(
      ({ bits, valueCount, wireBits, fold }) =>
        `  ${valueCount} values of ${bits} bits: ${wireBits} bits on the wire for ${fold === 1 ? 'each' : `${fold} of them`}`,
    ),
    `An update: ${formatBytes(cost['sealedBytes'] as number)} (${(cost['bytesPerParameter'] as number).toFixed(3)} bytes a parameter), ` +
      `${formatBytes(cost['sharesBytes'] as number)} of it sealed shares.`,
    `Clip: L2 norm ${body.clip.toPrecision(4)}; the reference's is ${planned.referenceNorm.toPrecision(4)}.`,
    `Expected error of one round's average: ${percent(expected.relativeError)} of its norm ` +
      `(${percent(expected.roundingError)} from rounding, ${percent(expected.unsentFraction)} of the energy not sent).`,
  ];
  if (expected.steadyState.roundsToArrive > 1.5) {
    lines.push(
      `With error feedback nothing is lost: an update has arrived after ${expected.steadyState.roundsToArrive.toFixed(1)} rounds on average.`,
    );
  }
  if (expected.clipStarves) {
    lines.push(
      'The clip is too small for this keep ratio: what is left over grows from round to round. Raise it.',
    );
  }
  const privacy = privacyCost(planned);
  if (privacy === null) return [...lines, 'No differential privacy: epsilon is unbounded.'];
  lines.push(
    `Differential privacy: ${privacy['mechanism']}, noise multiplier ${(privacy['noiseMultiplier'] as number).toPrecision(4)} with ` +
      `${body.privacy?.colluders} colluders assumed; one round costs epsilon ${(privacy['epsilonPerRound'] as number).toPrecision(4)} at delta ${privacy['delta']}.`,
  );
  const ratio = privacy['noiseToSignal'] as number;
  if (ratio > 1) {
    lines.push(
      `Warning: the noise of an average of ${arithmetic.maxClients} is ${ratio.toPrecision(3)} times its values. More clients, or fewer ` +
        'coordinates (--keep), or less noise, before this average is of use.',
    );
  }
  return lines;
}

export function planCommand(command: Command, output: () => Output): Command {
  return compressionOptions(command)
    .description('plan a round: what every client sends, at which precision, for how many')
    .requiredOption('--fleet <dir>', "the fleet's directory")
    .requiredOption(
      '--like <adapter>',
      'an adapter with the tensors that will be sent; its energies decide the grids',
    )
    .option('--base <adapter>', 'take the energies of the difference between --like and this')
    .option('--clip <norm>', 'L2 norm that what a client sends is clipped to', positiveNumberOption)
    .option(
      '--max-clients <n>',
      'clients in the sum at most (default: all that are active)',
      integerOption(2, 65_536),
    )
    .option('--quorum <n>', "clients in the sum at least (default: the policy's)", integerOption(2, 65_536))
    .option('--round <n>', 'number of the round', integerOption(1, 2 ** 32 - 1), 1)
    .option('--cohort <name>', 'cohort of the fleet', 'all')
    .option('--experts', 'tell vision, language and action modules apart by their names')
    .option('--deadline-minutes <m>', 'clients seal no later than this from now', integerOption(1, 525_600))
    .option('--explain', 'print what the plan costs, and write nothing')
    .option('--out <file>', 'the plan to write (.tgp)')
    .action(async (options: PlanCommandOptions) => {
      if (options.out === undefined && options.explain !== true) {
        throw new UsageError('usage.out', 'Give --out FILE, or --explain to write nothing.');
      }
      const fleet = await readFleetFile(options.fleet);
      const directory = join(options.fleet, 'coordinator');
      const coordinator = await openRole(directory, 'coordinator');
      const { roster } = coordinator;
      coordinator.close();
      const { policy } = await readRolePolicy(directory, {
        file: options.policy,
        overrides: policyOverrides(options),
      });
      const active = roster.body.clients.filter(({ status }) => status === 'active').length;
      const planned = await planRound({
        roster,
        like: options.like,
        ...(options.base !== undefined && { base: options.base }),
        ...(options.clip !== undefined && { clip: options.clip }),
        policy,
        maxClients: options.maxClients ?? Math.max(active, 2),
        ...(options.quorum !== undefined && { quorum: options.quorum }),
        round: options.round,
        policyName: fleet.preset,
        cohort: options.cohort,
        parameterSet: fleet.parameterSet,
        ...(options.experts !== undefined && { detectExperts: options.experts }),
        ledgerHeads: await new RoundRecords(join(options.fleet, 'owner')).ledgerHeads(),
        ...(options.deadlineMinutes !== undefined && {
          deadline: Date.now() + options.deadlineMinutes * 60_000,
        }),
      });
      const cost = costOf(planned);
      const lines = explain(planned);
      if (options.explain === true || options.out === undefined) {
        output().result({ ...cost, written: null }, lines);
        return;
      }
      const written = await writeContainer(options.out, {
        kind: 'plan',
        body: planned.body,
        sections: [],
        signer: coordinator.signing,
      });
      output().result({ ...cost, written: options.out, fingerprint: written.envelope.fingerprint }, [
        ...lines,
        `Wrote ${options.out}.`,
      ]);
    });
}
