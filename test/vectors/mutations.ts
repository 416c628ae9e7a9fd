/** Good files with one thing changed, signed again or not. */
import { encode as encodeWithCborg, rfc8949EncodeOptions } from 'cborg';
import { decodeCbor } from '../../lib/package/cbor-decoding.js';
import { encodePrefix, PREFIX_BYTES } from '../../lib/package/layout.js';
import { openContainer } from '../../lib/package/reader.js';
import { payloadType, preAuthenticationEncoding } from '../../lib/package/signatures.js';
import type { LocalSigningKey, SigningKey } from '../../lib/package/signing-key.js';

/** The header's map, changed and signed as its signer would; the sections follow as they were. */
export async function withHeader(
  file: Uint8Array,
  signer: SigningKey,
  change: (header: Record<string, unknown>) => void,
): Promise<Uint8Array> {
  const container = await openContainer(file, 'update');
  const header = decodeCbor(container.headerBytes, 'the header') as Record<string, unknown>;
  change(header);
  const bytes = encodeWithCborg(header, rfc8949EncodeOptions);
  const message = preAuthenticationEncoding(payloadType('update'), bytes);
  const entries = [];
  for (const alg of signer.algorithms) {
    entries.push({ alg, keyId: signer.keyId, sig: await signer.sign(alg, message) });
  }
  const block = encodeWithCborg(entries, rfc8949EncodeOptions);
  const sections = file.subarray(container.envelopeBytes.length);
  return Buffer.concat([encodePrefix(bytes.length, block.length), bytes, block, sections]);
}

export function section(header: Record<string, unknown>, name: string): { length: number } {
  const sections = header['sections'] as { name: string; length: number }[];
  return sections.find((entry) => entry.name === name) as { length: number };
}

/** The same header with the number of its version in two bytes instead of one. */
export function withLongInteger(file: Uint8Array): Uint8Array {
  const view = Buffer.from(file);
  const at = view.indexOf(Buffer.from([0x61, 0x76, 0x01]), PREFIX_BYTES);
  const longer = Buffer.concat([view.subarray(0, at + 2), Buffer.from([0x18, 0x01]), view.subarray(at + 3)]);
  longer.writeUInt32LE(view.readUInt32LE(12) + 1, 12);
  return longer;
}

/** A file with its signature block exchanged. */
export async function withSignatures(
  file: Uint8Array,
  change: (entries: { alg: string; keyId: Uint8Array; sig: Uint8Array }[]) => unknown[],
): Promise<Uint8Array> {
  const { headerBytes, signatures, envelopeBytes } = await openContainer(file, 'update');
  const block = encodeWithCborg(change([...signatures]), rfc8949EncodeOptions);
  return Buffer.concat([
    encodePrefix(headerBytes.length, block.length),
    headerBytes,
    block,
    file.subarray(envelopeBytes.length),
  ]);
}

/** A key that signs with less than it has. */
export function downgraded(key: LocalSigningKey): LocalSigningKey {
  return {
    keyId: key.keyId,
    publicKeys: key.publicKeys,
    algorithms: ['ed25519'],
    sign: (algorithm, message) => key.sign(algorithm, message),
    exportSecret: () => key.exportSecret(),
  };
}
