/** The header: what is signed, and what the fingerprint covers. */
import { z } from 'zod';
import { FormatError } from '../errors.js';
import { decodeCbor } from './cbor-decoding.js';
import { chunkCount } from './digests.js';
import { algorithmsSchema, type SignatureAlgorithm } from './keys.js';
import { bytes32Schema, integerSchema, unixMsSchema } from './messages/common.js';
import { type BodyOf, isMessageKind, type MessageKind, messageType } from './messages/registry.js';

const sectionSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1..32 of a-z 0-9 -'),
  length: integerSchema(0),
  digests: z.array(bytes32Schema),
});

/** One section: its name, its length in bytes, and the SHA-256 of each mebibyte of it. */
export type SectionEntry = z.infer<typeof sectionSchema>;

const headerSchema = z.strictObject({
  v: integerSchema(1, 0xffff),
  kind: z.string().max(32),
  algs: algorithmsSchema,
  signer: bytes32Schema,
  created: unixMsSchema,
  sections: z.array(sectionSchema).max(16),
  body: z.unknown(),
});

export interface Header<K extends MessageKind> {
  /** The container version, as in the prefix, which is not signed. */
  readonly v: number;
  readonly kind: K;
  readonly algs: readonly SignatureAlgorithm[];
  /** The signer's key id, 32 bytes. */
  readonly signer: Uint8Array;
  /** When it was made by the signer's clock, in milliseconds since 1970. */
  readonly created: number;
  readonly sections: readonly SectionEntry[];
  readonly body: BodyOf<K>;
}

const MAX_REPORTED_ISSUES = 3;

function describe(error: z.ZodError, within: string): string {
  const lines = error.issues.slice(0, MAX_REPORTED_ISSUES).map((issue) => {
    const path = issue.path.map(String).join('.');
    return `${path === '' ? within : `${within}.${path}`}: ${issue.message}`;
  });
  const more = error.issues.length - lines.length;
  return lines.join('; ') + (more > 0 ? `; and ${more} more` : '');
}

/** Checks a body against its kind's schema. @throws FormatError `container.invalid-body` */
export function checkBody<K extends MessageKind>(kind: K, body: unknown): BodyOf<K> {
  const parsed = messageType(kind).schema.safeParse(body);
  if (!parsed.success) {
    throw new FormatError(
      'container.invalid-body',
      `the ${kind} is malformed: ${describe(parsed.error, 'body')}`,
    );
  }
  return parsed.data;
}

/**
 * The sections are those of the kind, in its order, as long as the body says where it says so, with a
 * digest for each mebibyte.
 *
 * @throws FormatError `container.wrong-sections`
 */
export function checkSections<K extends MessageKind>(
  kind: K,
  body: BodyOf<K>,
  sections: readonly SectionEntry[],
): void {
  const { sections: expected, sectionLengths } = messageType(kind);
  const names = sections.map(({ name }) => name);
  if (names.length !== expected.length || names.some((name, i) => name !== expected[i])) {
    throw new FormatError(
      'container.wrong-sections',
      `a ${kind} has the sections [${expected.join(', ')}], in this order; this one has [${names.join(', ')}]`,
    );
  }
  const lengths = sectionLengths?.(body) ?? {};
  for (const { name, length, digests } of sections) {
    const required = Object.hasOwn(lengths, name) ? lengths[name] : undefined;
    if (required !== undefined && required !== length) {
      throw new FormatError(
        'container.wrong-sections',
        `section "${name}" has ${length} bytes, and the body accounts for ${required}`,
      );
    }
    if (digests.length !== chunkCount(length)) {
      throw new FormatError(
        'container.wrong-sections',
        `section "${name}" of ${length} bytes needs ${chunkCount(length)} digests, and has ${digests.length}`,
      );
    }
  }
}

/**
 * Decodes and checks a header. `expected` undefined accepts every kind there is.
 *
 * @throws FormatError `container.not-canonical`, `.invalid-header`, `.unknown-version`, `.wrong-kind`,
 *   `.invalid-body`, `.wrong-sections`
 */
export function parseHeader<K extends MessageKind>(
  bytes: Uint8Array,
  prefixVersion: number,
  expected: K | undefined,
): Header<K> {
  const parsed = headerSchema.safeParse(decodeCbor(bytes, 'the header'));
  if (!parsed.success) {
    throw new FormatError(
      'container.invalid-header',
      `the header is malformed: ${describe(parsed.error, 'header')}`,
    );
  }
  const { kind, ...header } = parsed.data;
  if (header.v !== prefixVersion) {
    throw new FormatError(
      'container.unknown-version',
      `the file says container version ${prefixVersion}, and its signed header ${header.v}: one was changed`,
    );
  }
  if (expected === undefined ? !isMessageKind(kind) : kind !== expected) {
    throw new FormatError(
      'container.wrong-kind',
      `this is a file of kind "${kind}"; ${expected === undefined ? 'this release knows no such kind' : `expected one of kind "${expected}"`}`,
    );
  }
  const known = kind as K;
  const body = checkBody(known, header.body);
  checkSections(known, body, header.sections);
  return { ...header, kind: known, body };
}
