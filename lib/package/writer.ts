/** Writing containers: every section is hashed once and never copied. */
import { FormatError, ParameterError } from '../errors.js';
import { type AtomicWriteOptions, writeFileAtomically } from '../files.js';
import { encodeCbor } from './cbor-encoding.js';
import { chunkDigests, streamDigests } from './digests.js';
import { Envelope } from './envelope.js';
import { checkBody, checkSections, type Header, type SectionEntry } from './header.js';
import { CONTAINER_VERSION, encodePrefix, MAX_HEADER_BYTES, MAX_SIGNATURE_BLOCK_BYTES } from './layout.js';
import type { BodyOf, MessageKind } from './messages/registry.js';
import { signHeader } from './signatures.js';
import type { SigningKey } from './signing-key.js';

/** A section that is not in memory: its bytes, the same each time they are asked for. */
export interface StreamedSection {
  readonly length: number;
  /** Read twice: once for the digests, once for writing. */
  read(): AsyncIterable<Uint8Array>;
}

export interface SectionInput {
  readonly name: string;
  /** Not copied: leave it alone until the container is written. */
  readonly data: Uint8Array | StreamedSection;
}

export interface ContainerInput<K extends MessageKind> {
  readonly kind: K;
  readonly body: BodyOf<K>;
  /** The sections of the kind, in its order. */
  readonly sections?: readonly SectionInput[];
  readonly signer: SigningKey;
  /** Milliseconds since 1970; now, if absent. Same content and time, same bytes. */
  readonly created?: number;
}

export interface EncodedContainer<K extends MessageKind> {
  /** Header, fingerprint, signatures, and their bytes. */
  readonly envelope: Envelope<K>;
  /** The file: the envelope, then the sections' own memory. */
  readonly parts: readonly (Uint8Array | StreamedSection)[];
  readonly sizeBytes: number;
}

/**
 * Builds and signs a container.
 *
 * @throws FormatError `container.invalid-body`, `.invalid-header`, `.wrong-sections`, `.too-large`
 * @throws VerificationError `container.bad-signature` where the key store signs wrongly
 */
export async function encodeContainer<K extends MessageKind>(
  input: ContainerInput<K>,
): Promise<EncodedContainer<K>> {
  const { kind, signer } = input;
  const body = checkBody(kind, input.body);
  const sections: SectionEntry[] = [];
  for (const { name, data } of input.sections ?? []) {
    const digests = data instanceof Uint8Array ? await chunkDigests(data) : await streamDigests(data.read());
    sections.push({ name, length: data.length, digests });
  }
  checkSections(kind, body, sections);
  const header: Header<K> = {
    v: CONTAINER_VERSION,
    kind,
    algs: signer.algorithms,
    signer: signer.keyId,
    created: input.created ?? Date.now(),
    sections,
    body,
  };
  const headerBytes = encodeCbor(header);
  checkSize('header', headerBytes.length, MAX_HEADER_BYTES);
  const signatureBlock = await signHeader(kind, headerBytes, signer);
  checkSize('signature block', signatureBlock.length, MAX_SIGNATURE_BLOCK_BYTES);
  const prefix = encodePrefix(headerBytes.length, signatureBlock.length);
  // Read back before it leaves: what a reader would refuse should fail here, where it can be mended.
  const envelope = new Envelope(Uint8Array.from(Buffer.concat([prefix, headerBytes, signatureBlock])), kind);
  const parts = [envelope.envelopeBytes, ...(input.sections ?? []).map(({ data }) => data)];
  const sizeBytes = parts.reduce((total, part) => total + part.length, 0);
  return { envelope, parts, sizeBytes };
}

function checkSize(what: string, sizeBytes: number, limit: number): void {
  if (sizeBytes <= limit) return;
  throw new FormatError(
    'container.too-large',
    `the ${what} would have ${sizeBytes} bytes; the limit is ${limit}`,
  );
}

/** The whole file in one buffer; for small ones, such as plans and answers. */
export function containerBytes(container: EncodedContainer<MessageKind>): Uint8Array {
  const bytes = new Uint8Array(container.sizeBytes);
  let offset = 0;
  for (const part of container.parts) {
    if (!(part instanceof Uint8Array)) {
      throw new ParameterError(
        'container.streamed',
        'A container with a streamed section is written to a file.',
      );
    }
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** Writes an encoded container to `path`, whole or not at all. */
export async function writeEncodedContainer(
  path: string,
  container: EncodedContainer<MessageKind>,
  options: AtomicWriteOptions = {},
): Promise<void> {
  await writeFileAtomically(
    path,
    async (file) => {
      for (const part of container.parts) {
        if (part instanceof Uint8Array) {
          await file.writeFile(part);
        } else {
          for await (const piece of part.read()) await file.writeFile(piece);
        }
      }
    },
    options,
  );
}

/** Builds, signs and writes a container. @throws as {@link encodeContainer}, and what the file system says */
export async function writeContainer<K extends MessageKind>(
  path: string,
  input: ContainerInput<K>,
  options: AtomicWriteOptions = {},
): Promise<EncodedContainer<K>> {
  const container = await encodeContainer(input);
  await writeEncodedContainer(path, container, options);
  return container;
}
