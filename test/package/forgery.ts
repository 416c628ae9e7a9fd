/** Files that no writer of ours would make: any header, validly signed, and any signature block. */
import { encode as encodeWithCborg, rfc8949EncodeOptions } from 'cborg';
import { encodePrefix } from '../../lib/package/layout.js';
import type { MessageKind } from '../../lib/package/messages/registry.js';
import { payloadType, preAuthenticationEncoding } from '../../lib/package/signatures.js';
import type { SigningKey } from '../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import { ed25519Key, smallInput } from './fixtures.js';

export interface Entry {
  readonly alg: string;
  readonly keyId: Uint8Array;
  readonly sig: Uint8Array;
}

export interface Forgery {
  readonly signer?: SigningKey;
  /** Changes to the header's map, or the header's bytes outright. */
  readonly header?: Record<string, unknown> | Uint8Array;
  readonly block?: (entries: Entry[]) => unknown;
  readonly sections?: readonly Uint8Array[];
}

/** The small file of a kind with these changes, signed by a holder of the key after they were made. */
export async function forge(kind: MessageKind, forgery: Forgery = {}): Promise<Uint8Array> {
  const signer = forgery.signer ?? ed25519Key;
  const encoded = await encodeContainer(smallInput(kind));
  const honest = { ...encoded.envelope.header, algs: signer.algorithms, signer: signer.keyId };
  const headerBytes =
    forgery.header instanceof Uint8Array
      ? forgery.header
      : encodeWithCborg({ ...honest, ...forgery.header }, rfc8949EncodeOptions);
  const signedKind = forgery.header instanceof Uint8Array ? kind : String(forgery.header?.['kind'] ?? kind);
  const message = preAuthenticationEncoding(payloadType(signedKind), headerBytes);
  const entries: Entry[] = [];
  for (const alg of signer.algorithms) {
    entries.push({ alg, keyId: signer.keyId, sig: await signer.sign(alg, message) });
  }
  const block = encodeWithCborg(forgery.block?.(entries) ?? entries, rfc8949EncodeOptions);
  const sections = forgery.sections ?? [
    containerBytes(encoded).subarray(encoded.envelope.envelopeBytes.length),
  ];
  return Uint8Array.from(
    Buffer.concat([encodePrefix(headerBytes.length, block.length), headerBytes, block, ...sections]),
  );
}
