/** Bit packing (docs/protocol.md section 5), one bit string at a time. */

/** A little-endian bit stream: value i at bits [i * width, (i + 1) * width), zero bits to a whole byte. */
export function bitStream(values: ArrayLike<number>, width: number): Uint8Array {
  let stream = 0n;
  for (let i = values.length - 1; i >= 0; i -= 1)
    stream = (stream << BigInt(width)) | BigInt(values[i] as number);
  const bytes = new Uint8Array(Math.ceil((values.length * width) / 8));
  const hex = stream.toString(16).padStart(2 * bytes.length, '0');
  for (let i = 0; i < bytes.length; i += 1) {
    bytes[bytes.length - 1 - i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

/** The first `count` values of a little-endian bit stream. */
export function readBitStream(bytes: Uint8Array, width: number, count: number): Uint32Array {
  const bit = (at: number): number => ((bytes[Math.floor(at / 8)] as number) >> (at % 8)) & 1;
  return Uint32Array.from({ length: count }, (_, i) => {
    let value = 0;
    for (let b = width - 1; b >= 0; b -= 1) value = value * 2 + bit(i * width + b);
    return value;
  });
}

const RUN = 32;

/**
 * One chunk: coefficients in chunk order (coefficient i of lane l at i * lanes + l), runs of 32 of one lane
 * become k words, word w of run g of lane l at word (g * k + w) * lanes + l.
 */
export function packChunk(coefficients: Uint32Array, lanes: number, wireBits: number): Uint8Array {
  const n = coefficients.length / lanes;
  const packed = Buffer.alloc((n * lanes * wireBits) / 8);
  for (let lane = 0; lane < lanes; lane += 1) {
    for (let run = 0; run < n / RUN; run += 1) {
      const values = Array.from(
        { length: RUN },
        (_, x) => coefficients[(RUN * run + x) * lanes + lane] as number,
      );
      const words = Buffer.from(bitStream(values, wireBits));
      for (let word = 0; word < wireBits; word += 1) {
        packed.writeUInt32LE(words.readUInt32LE(4 * word), 4 * ((run * wireBits + word) * lanes + lane));
      }
    }
  }
  return packed;
}

/** The inverse of {@link packChunk}. */
export function unpackChunk(packed: Uint8Array, lanes: number, wireBits: number): Uint32Array {
  const bytes = Buffer.from(packed);
  const n = (8 * bytes.length) / (lanes * wireBits);
  const coefficients = new Uint32Array(n * lanes);
  for (let lane = 0; lane < lanes; lane += 1) {
    for (let run = 0; run < n / RUN; run += 1) {
      const words = Buffer.alloc(4 * wireBits);
      for (let word = 0; word < wireBits; word += 1) {
        words.writeUInt32LE(bytes.readUInt32LE(4 * ((run * wireBits + word) * lanes + lane)), 4 * word);
      }
      readBitStream(words, wireBits, RUN).forEach((value, x) => {
        coefficients[(RUN * run + x) * lanes + lane] = value;
      });
    }
  }
  return coefficients;
}

/** Lanes of each chunk of a ciphertext: eights, and what is left. */
export function chunkLaneCounts(ringElements: number): number[] {
  const counts: number[] = [];
  for (let left = ringElements; left > 0; left -= 8) counts.push(Math.min(8, left));
  return counts;
}

/** A whole ciphertext from its ring elements' wire values. */
export function packElements(elements: readonly Uint32Array[], wireBits: number): Uint8Array {
  let first = 0;
  const chunks = chunkLaneCounts(elements.length).map((lanes) => {
    const chunk = elements.slice(first, first + lanes);
    first += lanes;
    const n = (chunk[0] as Uint32Array).length;
    const order = Uint32Array.from({ length: n * lanes }, (_, c) => {
      const element = chunk[c % lanes] as Uint32Array;
      return element[Math.floor(c / lanes)] as number;
    });
    return packChunk(order, lanes, wireBits);
  });
  return Buffer.concat(chunks);
}

/** The ring elements' wire values of a whole ciphertext. */
export function unpackElements(
  packed: Uint8Array,
  n: number,
  ringElements: number,
  wireBits: number,
): Uint32Array[] {
  let offset = 0;
  return chunkLaneCounts(ringElements).flatMap((lanes) => {
    const bytes = (n * lanes * wireBits) / 8;
    const chunk = unpackChunk(packed.subarray(offset, offset + bytes), lanes, wireBits);
    offset += bytes;
    return Array.from({ length: lanes }, (_, lane) =>
      Uint32Array.from({ length: n }, (_unused, i) => chunk[i * lanes + lane] as number),
    );
  });
}
