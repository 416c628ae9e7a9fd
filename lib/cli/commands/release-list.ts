import type { Command } from 'commander';
import { readSignedRoster } from '../../custody/roster.js';
import { UsageError } from '../../errors.js';
import type { Output } from '../output.js';
import { type PersonOptions, personOptions } from '../person-client.js';
import { listedReleases } from '../release-client.js';
import { readReleaseDirectory } from '../release-files.js';
import { fileLines, listedLines } from '../release-lines.js';
import { openPerson } from '../rollout-client.js';

interface ReleaseListOptions extends PersonOptions {
  readonly policy?: string;
  readonly roster?: string;
}

async function listFiles(directory: string, options: ReleaseListOptions, out: Output): Promise<void> {
  const roster = options.roster === undefined ? undefined : await readSignedRoster(options.roster);
  const { releases: found, unreadable } = await readReleaseDirectory(directory, roster);
  const releases = found.filter(({ policy }) => options.policy === undefined || policy === options.policy);
  out.result({ releases, unreadable }, [
    ...fileLines(releases),
    ...unreadable.map(({ file, error }) => `${file}: ${error.code}: ${error.message}`),
  ]);
  // A script that looks at the exit code alone must not take a directory for sound that is not.
  if (unreadable.length > 0) process.exitCode = 1;
}

export function releaseListCommand(command: Command, output: () => Output): Command {
  return personOptions(command)
    .description(
      'releases, the newest first: those of a server with their rollouts, or the files of a directory',
    )
    .argument('[directory]', 'a directory with releases (.tgr), in place of a server')
    .option('--policy <name>', 'of this policy alone')
    .option('--roster <file>', "verify the owner's signature on each file with this roster (.tgo)")
    .action(async (directory: string | undefined, options: ReleaseListOptions) => {
      if ((directory === undefined) === (options.server === undefined)) {
        throw new UsageError('usage.one-source', 'Give --server URL (with --token-file), or a directory.');
      }
      if (directory !== undefined) return listFiles(directory, options, output());
      if (options.roster !== undefined) {
        throw new UsageError(
          'usage.roster',
          'A roster verifies files: give the directory that they are in, not --server.',
        );
      }
      const releases = await listedReleases(await openPerson(options), options.policy);
      output().result({ releases }, listedLines(releases));
    });
}
