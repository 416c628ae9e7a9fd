/** A whole encryption from fixed seeds, a whole sum, a whole opening (docs/protocol.md sections 5 and 6). */
import { decodeWire, encodeMessage, switchModulus } from './encoding.js';
import { messagesOf, valuesOf } from './folding.js';
import { packElements, unpackElements } from './packing.js';
import { fromNttDomain, mod, type OracleRing, smallProduct } from './ring.js';
import { dealShares, secretFromSeed } from './shamir.js';
import { deriveKey, smallElement, uniformElement } from './streams.js';

/** The widths of a plan, as docs/protocol.md section 3 names them. */
export interface Widths {
  readonly fieldBits: number;
  readonly fold: number;
  readonly plaintextBits: number;
  readonly wireBits: number;
}

const masks = new Map<string, Uint32Array>();

/** Coefficients of the public ring element with this index. */
function maskCoefficients(ring: OracleRing, maskKey: Uint8Array, element: number): Uint32Array {
  const name = `${ring.name} ${Buffer.from(maskKey).toString('hex')} ${element}`;
  const known = masks.get(name);
  if (known) return known;
  const mask = fromNttDomain(ring, uniformElement(ring, maskKey, element));
  masks.set(name, mask);
  return mask;
}

export interface OracleEncryption {
  readonly ciphertext: Uint8Array;
  readonly shares: Uint8Array[];
  readonly secret: Int32Array;
}

export function encryptUpdate(
  ring: OracleRing,
  widths: Widths,
  update: {
    readonly maskKey: Uint8Array;
    readonly planFingerprint: Uint8Array;
    readonly hedge: Uint8Array;
    readonly threshold: number;
    readonly custodians: number;
    readonly values: Int32Array;
  },
): OracleEncryption {
  const { maskKey, planFingerprint, hedge, threshold, custodians, values } = update;
  const secret = secretFromSeed(
    ring,
    deriveKey(hedge, 'secret seed', ring, planFingerprint),
    planFingerprint,
  );
  const errorKey = deriveKey(hedge, 'error', ring, planFingerprint);
  const elements = messagesOf({ n: ring.n, ...widths }, values).map((messages, j) => {
    const product = smallProduct(ring, maskCoefficients(ring, maskKey, j), secret);
    const error = smallElement(ring, errorKey, j);
    return messages.map((message, i) => {
      const encoded = encodeMessage(ring.q, widths.plaintextBits, message);
      const c = mod((product[i] as number) + (error[i] as number) + encoded, ring.q);
      return switchModulus(ring.q, widths.wireBits, c);
    });
  });
  return {
    ciphertext: packElements(elements, widths.wireBits),
    shares: dealShares(ring, hedge, planFingerprint, threshold, custodians),
    secret,
  };
}

/** The componentwise sum mod 2^k of packed ciphertexts. */
export function sumUpdates(
  n: number,
  ringElements: number,
  wireBits: number,
  ciphertexts: readonly Uint8Array[],
): Uint8Array {
  const total = Array.from({ length: ringElements }, () => new Uint32Array(n));
  for (const ciphertext of ciphertexts) {
    unpackElements(ciphertext, n, ringElements, wireBits).forEach((element, j) => {
      const row = total[j] as Uint32Array;
      element.forEach((b, i) => {
        row[i] = ((row[i] as number) + b) % 2 ** wireBits;
      });
    });
  }
  return packElements(total, wireBits);
}

export interface OracleOpening {
  readonly values: Int32Array;
  readonly maxAbsResidual: number;
  readonly residualSumOfSquares: number;
}

export function openAggregate(
  ring: OracleRing,
  widths: Widths,
  opening: {
    readonly maskKey: Uint8Array;
    readonly secretSum: Int32Array;
    readonly aggregate: Uint8Array;
    readonly valueCount: number;
  },
): OracleOpening {
  const { wireBits, plaintextBits } = widths;
  const ringElements = (8 * opening.aggregate.length) / (ring.n * wireBits);
  let maxAbsResidual = 0;
  let residualSumOfSquares = 0;
  const messages = unpackElements(opening.aggregate, ring.n, ringElements, wireBits).map((element, j) => {
    const product = smallProduct(ring, maskCoefficients(ring, opening.maskKey, j), opening.secretSum);
    return element.map((b, i) => {
      const mask = switchModulus(ring.q, wireBits, product[i] as number);
      const { message, residual } = decodeWire(wireBits, plaintextBits, mod(b - mask, 2 ** wireBits));
      maxAbsResidual = Math.max(maxAbsResidual, Math.abs(residual));
      residualSumOfSquares += residual * residual;
      return message;
    });
  });
  const values = valuesOf({ n: ring.n, ...widths }, messages, opening.valueCount);
  return { values, maxAbsResidual, residualSumOfSquares };
}
