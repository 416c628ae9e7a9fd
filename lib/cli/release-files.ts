/** Releases as files: what their headers say, and whether the owner signed that. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { requireSameFleet, type TrustedRoster } from '../custody/roster.js';
import { EnvironmentError, TensorGuardError } from '../errors.js';
import { hex } from '../package/messages/common.js';
import { releaseMessage } from '../package/messages/release.js';
import { openContainer } from '../package/reader.js';
import { type ShownReleaseFacts, shownReleaseFacts } from '../server/releases/shown-releases.js';

export interface ReleaseFile extends ShownReleaseFacts {
  readonly file: string;
  /** Of the release, hexadecimal. */
  readonly fingerprint: string;
  /** By the owner's clock. */
  readonly created: string;
  /** Held against a roster; without one nobody knows who wrote the header. */
  readonly signatureVerified: boolean;
}

export interface UnreadableFile {
  readonly file: string;
  readonly error: { readonly code: string; readonly message: string };
}

/** @throws FormatError `container.*`, `roster.other-fleet`; VerificationError `container.*` */
export async function readReleaseFile(file: string, roster: TrustedRoster | undefined): Promise<ReleaseFile> {
  const container = await openContainer(file, 'release');
  try {
    if (roster !== undefined) {
      requireSameFleet(roster, container.body.fleet, 'release');
      await container.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
    }
    return {
      file,
      fingerprint: hex(container.fingerprint),
      created: new Date(container.header.created).toISOString(),
      signatureVerified: roster !== undefined,
      ...shownReleaseFacts(container.body),
    };
  } finally {
    await container.close();
  }
}

/** The releases in a directory, the newest first; a file that cannot be read, or is not the owner's, hides no other. */
export async function readReleaseDirectory(
  directory: string,
  roster: TrustedRoster | undefined,
): Promise<{ readonly releases: readonly ReleaseFile[]; readonly unreadable: readonly UnreadableFile[] }> {
  const releases: ReleaseFile[] = [];
  const unreadable: UnreadableFile[] = [];
  for (const name of (await namesIn(directory)).sort()) {
    if (!name.endsWith(releaseMessage.extension)) continue;
    const file = join(directory, name);
    try {
      releases.push(await readReleaseFile(file, roster));
    } catch (error) {
      if (!(error instanceof TensorGuardError)) throw error;
      unreadable.push({ file, error: { code: error.code, message: error.message } });
    }
  }
  const byCounter = (a: ReleaseFile, b: ReleaseFile): number => b.counter - a.counter;
  return { releases: releases.sort(byCounter), unreadable };
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (cause) {
    throw new EnvironmentError(
      'release.directory-unreadable',
      `${directory} cannot be listed. Name the directory that the .tgr files are in.`,
      { cause },
    );
  }
}
