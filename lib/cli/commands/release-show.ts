import type { Command } from 'commander';
import { readSignedRoster } from '../../custody/roster.js';
import { RefusedError, UsageError } from '../../errors.js';
import type { Output } from '../output.js';
import { type PersonOptions, personOptions } from '../person-client.js';
import { type PublishedRelease, publishedRelease } from '../release-client.js';
import { type ReleaseFile, readReleaseFile } from '../release-files.js';
import { factLines, findingLines, rolloutPhrase } from '../release-lines.js';
import { openPerson } from '../rollout-client.js';

interface ReleaseShowOptions extends PersonOptions {
  readonly roster?: string;
}

const COUNTER = /^[1-9]\d{0,9}$/;

function publishedLines(counter: number, published: PublishedRelease | undefined): string[] {
  if (published === undefined) return ['The server does not have it.'];
  const { header, findings, rollout } = published;
  return [
    `Published ${new Date(header.atMs).toISOString()}${header.current ? '; the whole fleet is to run it' : ''}.`,
    `Rollout: ${rolloutPhrase(counter, rollout)}.`,
    ...findingLines(findings),
  ];
}

function publishedDocument(published: PublishedRelease | undefined): Record<string, unknown> {
  if (published === undefined) return { published: false };
  const { header, findings, rollout } = published;
  return {
    published: true,
    ...{ atMs: header.atMs, current: header.current },
    ...(findings !== undefined && { verdict: findings }),
    ...(rollout !== undefined && { rollout }),
  };
}

async function showFile(path: string, options: ReleaseShowOptions, out: Output): Promise<void> {
  const roster = options.roster === undefined ? undefined : await readSignedRoster(options.roster);
  const file = await readReleaseFile(path, roster);
  const signature = file.signatureVerified
    ? "The owner's signature is verified."
    : 'Not verified: pass --roster FILE.';
  const lines = [...factLines(file), `Made ${file.created}, fingerprint ${file.fingerprint}. ${signature}`];
  if (options.server === undefined) {
    out.result({ ...file }, lines);
    return;
  }
  const published = await publishedRelease(await openPerson(options), file.counter);
  requireSame(file, published);
  out.result({ ...file, ...publishedDocument(published) }, [
    ...lines,
    ...publishedLines(file.counter, published),
  ]);
}

/** What a server says of another release must not be read as said of this one. @throws RefusedError `release.equivocation` */
function requireSame(
  { file, counter, fingerprint }: ReleaseFile,
  published: PublishedRelease | undefined,
): void {
  if (published === undefined || published.header.fingerprint === fingerprint) return;
  throw new RefusedError(
    'release.equivocation',
    `There are two releases with counter ${counter}: the server has ${published.header.fingerprint}, ${file} is ` +
      `${fingerprint}. See with --roster whether this one is the owner's. If it is, use neither; show both to the owner.`,
  );
}

async function showCounter(counter: number, options: ReleaseShowOptions, out: Output): Promise<void> {
  if (options.roster !== undefined) {
    throw new UsageError('usage.roster', 'A roster verifies a file: name the file, not a counter.');
  }
  const published = await publishedRelease(await openPerson(options), counter);
  if (published === undefined) {
    throw new RefusedError(
      'release.not-published',
      `The server has no release ${counter}. Those that it has: tensorguard-native release list --server URL.`,
    );
  }
  const { verdict: _, atMs: _at, current: _current, ...facts } = published.header;
  out.result({ ...facts, ...publishedDocument(published) }, [
    ...factLines(facts),
    `Fingerprint ${facts.fingerprint}.`,
    ...publishedLines(counter, published),
  ]);
}

export function releaseShowCommand(command: Command, output: () => Output): Command {
  return personOptions(command)
    .description('a release: what its header says, the verdict on its adapter, where its rollout is')
    .argument('<release>', 'a file (.tgr), or the counter of a release that a server has')
    .option('--roster <file>', "verify the owner's signature on the file with this roster (.tgo)")
    .action(async (release: string, options: ReleaseShowOptions) =>
      COUNTER.test(release)
        ? showCounter(Number(release), options, output())
        : showFile(release, options, output()),
    );
}
