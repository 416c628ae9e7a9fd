import type { Command } from 'commander';
import { openClientState } from '../../custody/client-state.js';
import { openRole } from '../../custody/role-directory.js';
import { readTrustedPlan } from '../../custody/trusted-plan.js';
import { FormatError, UsageError } from '../../errors.js';
import { openContainer } from '../../package/reader.js';
import { copyUpdate, dryRunSeal, type SealOptions, sealUpdate } from '../../round/seal-update.js';
import { formatBytes, type Output } from '../output.js';

interface SealCommandOptions {
  readonly plan: string;
  readonly client: string;
  readonly base?: string;
  readonly close?: string;
  readonly dryRun?: boolean;
  readonly out?: string;
}

export function sealCommand(command: Command, output: () => Output): Command {
  return command
    .description("seal a trained adapter for a plan's round")
    .argument('<adapter>', 'the directory that PEFT wrote')
    .requiredOption('--plan <file>', "the round's plan (.tgp)")
    .requiredOption('--client <dir>', "this client's directory")
    .option('--base <adapter>', 'send the difference to this adapter')
    .option(
      '--close <file>',
      "an earlier round's close record (.tgc), which may release a delta it does not list",
    )
    .option('--dry-run', 'check everything, print what would be sent, and write nothing')
    .option('--out <file>', 'the update to write (.tgu)')
    .action(async (adapter: string, options: SealCommandOptions) => {
      if (options.out === undefined && options.dryRun !== true) {
        throw new UsageError('usage.out', 'Give --out FILE, or --dry-run to write nothing.');
      }
      const { keys, signing, roster } = await openRole(options.client, 'client');
      if (keys.prf === undefined) {
        throw new FormatError('key.malformed', `The key file in ${options.client} has no PRF key.`);
      }
      const plan = await readTrustedPlan(options.plan, roster);
      const state = await openClientState(options.client);
      try {
        if (options.close !== undefined) {
          const close = await openContainer(options.close, 'close');
          try {
            await close.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
            // Recorded even where the seal is refused then: what a round opened is true whatever comes after.
            if (options.dryRun !== true) {
              await state.recordClose({ plan: close.body.plan, opened: close.body.opened });
            }
          } finally {
            await close.close();
          }
        }
        const request: SealOptions = {
          client: { id: keys.id, signing, prf: keys.prf, state },
          plan,
          adapter,
          ...(options.base !== undefined && { base: options.base }),
        };
        if (options.dryRun === true || options.out === undefined) {
          const report = await dryRunSeal(request);
          output().result({ ...report, keepRatio: 1, epsilon: null, written: null }, [
            `Would seal ${report.values} values into ${formatBytes(report.sealedBytes)} ` +
              `(${(report.sealedBytes / report.values).toFixed(3)} bytes a value); ${report.saturatedValues} would saturate.`,
            'Keep ratio 1. No differential privacy: epsilon is unbounded. Nothing was written.',
          ]);
          return;
        }
        const sealed = await sealUpdate(request);
        const sizeBytes = await copyUpdate(sealed.stored, options.out);
        output().result(
          {
            update: sealed.update,
            written: options.out,
            sizeBytes,
            bytesPerValue: sizeBytes / sealed.values,
            values: sealed.values,
            saturatedValues: sealed.saturatedValues,
            originalBytes: sealed.originalBytes,
            replayed: sealed.replayed,
          },
          [
            `Sealed ${sealed.values} values into ${options.out}: ${formatBytes(sizeBytes)}, ` +
              `${(sizeBytes / sealed.values).toFixed(3)} bytes a value; ${sealed.saturatedValues} saturated.`,
            ...(sealed.replayed
              ? ['The same delta was sealed under this plan before: this is the same file.']
              : []),
          ],
        );
      } finally {
        state.close();
      }
    });
}
