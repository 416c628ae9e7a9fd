/** The page as it was built, in memory: a few files, the same for everybody. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { EnvironmentError } from '../errors.js';
import type { PageAnswer, PageRequest, ServedPage } from '../server/routes/page.js';

/** In dist/, beside dist/lib. */
const BUILT = fileURLToPath(new URL('../../page/', import.meta.url));

const FILES: Readonly<Record<string, { readonly name: string; readonly mediaType: string }>> = {
  '/': { name: 'index.html', mediaType: 'text/html; charset=utf-8' },
  '/dashboard/page.js': { name: 'page.js', mediaType: 'text/javascript; charset=utf-8' },
  '/dashboard/page.css': { name: 'page.css', mediaType: 'text/css; charset=utf-8' },
  '/dashboard/icon.svg': { name: 'icon.svg', mediaType: 'image/svg+xml' },
};

/**
 * Script and style come from these files alone, data from this server alone, and the page is in nobody's frame. Trusted types
 * without a policy: no string becomes markup, whoever sent it.
 */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

interface LoadedFile {
  readonly headers: Readonly<Record<string, string>>;
  readonly plain: Uint8Array;
  readonly zipped: Uint8Array;
}

const NOTHING = new Uint8Array();

export class PageFiles implements ServedPage {
  constructor(private readonly files: ReadonlyMap<string, LoadedFile>) {}

  /** Of what a browser loads, together. */
  get zippedBytes(): number {
    return [...this.files.values()].reduce((sum, { zipped }) => sum + zipped.length, 0);
  }

  answer({ path, ifNoneMatch, acceptEncoding }: PageRequest): PageAnswer | undefined {
    const file = this.files.get(path);
    if (file === undefined) return undefined;
    const { headers, plain, zipped } = file;
    if (ifNoneMatch !== undefined && ifNoneMatch === headers['etag']) {
      return { status: 304, headers, body: NOTHING };
    }
    if (!acceptsGzip(acceptEncoding)) return { status: 200, headers, body: plain };
    return { status: 200, headers: { ...headers, 'content-encoding': 'gzip' }, body: zipped };
  }
}

function acceptsGzip(acceptEncoding = ''): boolean {
  return acceptEncoding.split(',').some((each) => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)|$)/i.test(each));
}

/** Reads the built page. @throws EnvironmentError `dashboard.not-built` */
export async function readPage(directory = BUILT): Promise<PageFiles> {
  const files = new Map<string, LoadedFile>();
  for (const [path, { name, mediaType }] of Object.entries(FILES)) {
    const plain = await readFile(join(directory, name)).catch((cause: unknown) => {
      throw new EnvironmentError(
        'dashboard.not-built',
        `The dashboard's ${name} is not in ${directory}. Build it (npm run build), or install the package again.`,
        { cause },
      );
    });
    files.set(path, {
      headers: {
        'content-type': mediaType,
        // A newer server has a newer page.
        'cache-control': 'no-cache',
        etag: `W/"${createHash('sha256').update(plain).digest('base64url')}"`,
        vary: 'accept-encoding',
        ...(path === '/' && { 'content-security-policy': PAGE_POLICY }),
      },
      plain,
      zipped: await promisify(gzip)(plain, { level: 9 }),
    });
  }
  return new PageFiles(files);
}

/** The page for a server, which does without where it was not built. */
export async function openPage(): Promise<PageFiles | undefined> {
  return readPage().catch((error: unknown) => {
    if (error instanceof EnvironmentError) return undefined;
    throw error;
  });
}
