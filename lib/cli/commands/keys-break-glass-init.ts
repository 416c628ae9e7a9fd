import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { OfficerShare } from '../../custody/break-glass/officer-shares.js';
import { readShareFile, writeShareFile } from '../../custody/break-glass/share-files.js';
import { setUpRecovery } from '../../custody/keys/break-glass.js';
import { openKeyStore } from '../../custody/role-directory.js';
import { createPrivateDirectory, errorCode } from '../../durable/private-files.js';
import { RefusedError, UsageError } from '../../errors.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';

interface InitOptions {
  readonly role: string;
  readonly officers: readonly string[];
  readonly threshold: number;
  readonly out: string;
  readonly presentShares?: string[];
}

function officersOption(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) throw new InvalidArgumentError('Give names, separated by commas.');
  return names;
}

async function requireEmptyOrAbsent(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown): string[] => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) return;
  throw new RefusedError(
    'break-glass.directory-not-empty',
    `${directory} is not empty. Name a new directory.`,
  );
}

export function keysBreakGlassInitCommand(command: Command, output: () => Output): Command {
  return command
    .description('give officers shares of a recovery key, before it is needed')
    .requiredOption('--role <dir>', "the custodian's directory")
    .requiredOption('--officers <names>', 'their names, separated by commas', officersOption)
    .requiredOption('--threshold <k>', 'officers that it takes', integerOption(2, 20))
    .requiredOption('--out <dir>', 'a new or empty directory for the shares, one file an officer')
    .option(
      '--present-shares <files...>',
      'where there are officers: shares of as many as it takes, who agree',
    )
    .action(async ({ role, officers, threshold, out, presentShares }: InitOptions) => {
      if (threshold > officers.length) {
        throw new UsageError(
          'usage.threshold',
          `--threshold ${threshold} exceeds the ${officers.length} officers that --officers names.`,
        );
      }
      const present: OfficerShare[] | undefined = presentShares && [];
      const store = await openKeyStore(role, 'custodian');
      try {
        for (const path of presentShares ?? []) present?.push(await readShareFile(path));
        await requireEmptyOrAbsent(out);
        const files: string[] = [];
        const keep = async (shares: readonly OfficerShare[]): Promise<void> => {
          await createPrivateDirectory(out);
          for (const share of shares) {
            const path = join(out, `${store.id}.${share.officer}.share.json`);
            await writeShareFile(path, share);
            files.push(path);
          }
        };
        const shares = await setUpRecovery(store, { officers, threshold, present, keep });
        for (const { share } of shares) share.wipe();
        output().result({ officers, threshold, files }, [
          `Any ${threshold} of ${officers.length} officers can unlock one key for one round. Their shares:`,
          ...files.map((file) => `  ${file}`),
          'Hand each to its officer and remove it here: they exist nowhere else.',
        ]);
      } finally {
        for (const { share } of present ?? []) share.wipe();
        store.close();
      }
    });
}
