import type { Command } from 'commander';
import { readTrainingMetadata, type TrainingFacts } from '../../adapter/training-metadata.js';
import type { TrustedRoster } from '../../custody/roster.js';
import { readTrustedPlan } from '../../custody/trusted-plan.js';
import { UsageError } from '../../errors.js';
import { WEIGHT_ONE } from '../../package/messages/update.js';
import { openContainer } from '../../package/reader.js';
import { openClient } from '../../round/client-directory.js';
import { resetResidual, settleResiduals } from '../../round/residuals.js';
import {
  type ClientIdentity,
  copyUpdate,
  dryRunSeal,
  type SealOptions,
  type SealReport,
  sealUpdate,
} from '../../round/seal-update.js';
import { formatBytes, type Output } from '../output.js';
import { type PolicyOptions, policyOptions, policyOverrides } from '../policy-options.js';

interface SealCommandOptions extends PolicyOptions {
  readonly plan: string;
  readonly client: string;
  readonly base?: string;
  readonly close?: string;
  readonly training?: string;
  readonly privacyLedger?: string;
  readonly resetResidual?: boolean;
  readonly dryRun?: boolean;
  readonly out?: string;
}

/** Recorded even where the seal is refused then: what a round opened is true whatever comes after. */
async function takeCloseRecord(
  path: string,
  client: ClientIdentity,
  roster: TrustedRoster,
  dryRun: boolean,
): Promise<void> {
  const close = await openContainer(path, 'close');
  try {
    await close.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
    if (dryRun) return;
    await client.state.recordClose({ plan: close.body.plan, opened: close.body.opened });
  } finally {
    await close.close();
  }
}

/** What earlier rounds left over is given up, which a warning says. */
async function startFromZero({ residuals }: ClientIdentity, policy: string, out: Output): Promise<void> {
  const aside = residuals && (await resetResidual(residuals, policy));
  out.warn(
    aside === undefined
      ? `Warning: there is no residual of policy "${policy}" to reset.`
      : `Warning: what earlier rounds did not send is given up. The residual was renamed to ${aside}; it holds what this ` +
          'robot has learned, so delete it once nobody needs it.',
  );
}

function describe(report: SealReport): string[] {
  const { clipFactor, keptNorm, residualUsed, epsilonSpent, staleness = 0 } = report;
  return [
    ...(staleness > 0
      ? [`Late by ${staleness} rounds: weighs ${(Math.max(...report.weights) / WEIGHT_ONE).toPrecision(3)}.`]
      : []),
    `${report.values} values (keep ratio ${report.keepRatio.toPrecision(3)}), ${report.saturatedValues} of them saturated; norm ${keptNorm.toPrecision(4)}` +
      `${clipFactor < 1 ? `, clipped to ${(clipFactor * keptNorm).toPrecision(4)}` : ''}` +
      `${residualUsed ? ', with what earlier rounds left over' : ''}.`,
    epsilonSpent === undefined
      ? 'No differential privacy: epsilon is unbounded.'
      : `Privacy: epsilon ${epsilonSpent.toPrecision(4)} spent by this site when this round is counted${report.overBudget === true ? ', over its budget' : ''}.`,
  ];
}

function metadataLines(training: TrainingFacts): string[] {
  return training.warnings.map(({ file, message }) => `Warning: ${file}: ${message}`);
}

export function sealCommand(command: Command, output: () => Output): Command {
  return policyOptions(command)
    .description("seal a trained adapter for a plan's round")
    .argument('<adapter>', 'the directory that PEFT wrote')
    .requiredOption('--plan <file>', "the round's plan (.tgp)")
    .requiredOption('--client <dir>', "this client's directory")
    .option('--base <adapter>', 'send the difference to this adapter')
    .option(
      '--close <file>',
      "an earlier round's close record (.tgc): commits what it opened, and releases a delta it does not list",
    )
    .option('--training <file>', 'what is known of the training (.json); goes into the header in the clear')
    .option('--privacy-ledger <file>', "the ledger of a site that robots share (default: the client's own)")
    .option(
      '--reset-residual',
      'give up what earlier rounds did not send: for a residual that is damaged, or grew without bound',
    )
    .option('--dry-run', 'check everything, print what would be sent, and write nothing')
    .option('--out <file>', 'the update to write (.tgu)')
    .action(async (adapter: string, options: SealCommandOptions) => {
      if (options.out === undefined && options.dryRun !== true) {
        throw new UsageError('usage.out', 'Give --out FILE, or --dry-run to write nothing.');
      }
      if (options.resetResidual === true && options.dryRun === true) {
        throw new UsageError(
          'usage.reset-residual',
          'A dry run changes nothing: leave out --reset-residual.',
        );
      }
      const out = output();
      const { client, roster, close } = await openClient(options.client, {
        file: options.policy,
        overrides: policyOverrides(options),
        privacyLedger: options.privacyLedger,
      });
      try {
        const plan = await readTrustedPlan(options.plan, roster);
        if (options.close !== undefined) {
          await takeCloseRecord(options.close, client, roster, options.dryRun === true);
        }
        if (options.resetResidual === true) await startFromZero(client, plan.body.policy, out);
        // Also where the seal is refused then.
        if (options.close !== undefined && options.dryRun !== true && client.residuals !== undefined) {
          await settleResiduals(client.residuals, client.state);
        }
        const training = await readTrainingMetadata(adapter, options.training);
        for (const line of metadataLines(training)) out.warn(line);
        const request: SealOptions = {
          client,
          plan,
          adapter,
          training,
          ...(options.base !== undefined && { base: options.base }),
        };
        if (options.dryRun === true || options.out === undefined) {
          const report = await dryRunSeal(request);
          out.result({ ...report, epsilon: report.epsilonSpent ?? null, written: null }, [
            `Would seal into ${formatBytes(report.sealedBytes)} (${(report.sealedBytes / report.values).toFixed(3)} bytes a value).`,
            ...describe(report),
            'Nothing was written.',
          ]);
          return;
        }
        const sealed = await sealUpdate(request);
        const sizeBytes = await copyUpdate(sealed.stored, options.out);
        const { report } = sealed;
        const values = plan.arithmetic.valueCount;
        out.result(
          {
            ...report,
            update: sealed.update,
            written: options.out,
            sizeBytes,
            values,
            bytesPerValue: sizeBytes / values,
            replayed: sealed.replayed,
          },
          [
            `Sealed into ${options.out}: ${formatBytes(sizeBytes)}, ${(sizeBytes / values).toFixed(3)} bytes a value.`,
            ...(report === undefined
              ? ['The same delta was sealed under this plan before: this is the same file.']
              : describe(report)),
          ],
        );
      } finally {
        close();
      }
    });
}
