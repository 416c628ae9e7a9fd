/**
 * Plan arithmetic (docs/protocol.md section 3): how wide a field, a coefficient and the wire are.
 *
 * Every machine must come to the same widths, so nothing that decides one is computed in floating point:
 * both sides of the decoding condition are squared and compared as integers, and the only irrational number in
 * it, a logarithm, is replaced by an upper bound computed with integers (Math.log may differ in its last bit
 * between engines). Floating point appears only in figures for people: `z` and `residualSigma`.
 */
import { ParameterError } from '../errors.js';
import { type ParameterSet, type ParameterSetName, parameterSet } from './parameters.js';

/** Ring elements of a full chunk: the lanes of one AVX2 register. */
export const CHUNK_LANES = 8;
export const MIN_BITS = 2;
export const MAX_BITS = 8;
/** One typed array holds the values of an update, and its length is below 2^32. */
export const MAX_VALUE_COUNT = 2 ** 32 - 1;
/** One for each width from 2 to 8 bits. */
export const MAX_SEGMENTS = MAX_BITS - MIN_BITS + 1;
/** Far beyond any noise that a plan admits; what is larger was not made by this package. */
export const MAX_NOISY_VALUE = 2 ** 30;
/** Standard deviation 2^16: a sum over many clients must still fit a field. */
export const MAX_NOISE_VARIANCE = 2 ** 32;

/** What decides how values of one width are sent. */
export interface SegmentRequest {
  readonly parameterSet: ParameterSetName;
  /** Bits of one value in two's complement, 2..8, used symmetrically: |v| <= 2^(bits-1) - 1 before noise. */
  readonly bits: number;
  /** Clients in a sum at most, from 1. */
  readonly maxClients: number;
  /** Values of this width, 1..2^32 - 1. */
  readonly valueCount: number;
  /** Values in one coefficient; without it, the number that costs the fewest bits a value. */
  readonly fold?: number;
  /** Variance of the integer noise that each client adds to each value (differential privacy); 0 unless told. */
  readonly noiseVariance?: number;
  /** Segments of the update, which share its odds of failure; 1 unless told. */
  readonly segments?: number;
}

/** Values of one width: how wide a field, a coefficient and the wire are for them. */
export interface SegmentArithmetic {
  readonly parameterSet: ParameterSetName;
  readonly bits: number;
  readonly maxClients: number;
  readonly valueCount: number;
  readonly noiseVariance: number;
  /** Largest absolute value a client may encrypt, before noise: 2^(bits-1) - 1. */
  readonly valueBound: number;
  /** p0: bits of one field of a sum. */
  readonly fieldBits: number;
  /** f: values in one coefficient. */
  readonly fold: number;
  /** p = f * p0: bits of one coefficient's message. */
  readonly plaintextBits: number;
  /** k: bits of one coefficient on the wire. */
  readonly wireBits: number;
  readonly ringElements: number;
  readonly chunkCount: number;
  /** ringElements * n * wireBits / 8: packed bytes of one update's segment, and of a sum's. */
  readonly ciphertextBytes: number;
  /** Tail of the union bound: all residuals stay within z standard deviations but for odds below 2^-64 an update. */
  readonly z: number;
  /** 2^(k-p-1): a residual of this size no longer decodes. */
  readonly residualBound: number;
  /** Predicted standard deviation of a residual when `maxClients` updates are summed. */
  readonly residualSigma: number;
}

/** A segment in its place among the others. */
export interface PlanSegment extends SegmentArithmetic {
  /** Index of its first ring element: every ring element of an update has a mask of its own. */
  readonly firstElement: number;
  /** Index of its first value. */
  readonly firstValue: number;
  /** Where its packed bytes begin. */
  readonly offsetBytes: number;
}

export interface PlanRequest {
  readonly parameterSet: ParameterSetName;
  readonly maxClients: number;
  readonly noiseVariance?: number;
  /** The widths that values have, each with how many; an update holds them back to back in this order. */
  readonly segments: readonly Pick<SegmentRequest, 'bits' | 'valueCount' | 'fold'>[];
}

/** The arithmetic of a whole update. */
export interface PlanArithmetic {
  readonly parameterSet: ParameterSetName;
  readonly maxClients: number;
  readonly noiseVariance: number;
  readonly segments: readonly PlanSegment[];
  readonly valueCount: number;
  readonly ringElements: number;
  readonly ciphertextBytes: number;
}

/** A request that no fold and no wire width satisfies; says what would fit. */
export class PlanDoesNotFitError extends ParameterError {
  /** The largest number of clients that fits at the requested bits; 0 if none does. */
  readonly largestMaxClients: number;
  /** The largest bits that fit for the requested number of clients; 0 if none do. */
  readonly largestBits: number;

  constructor(request: SegmentRequest, largestMaxClients: number, largestBits: number) {
    const { parameterSet, bits, maxClients, fold } = request;
    const folded = fold === undefined ? '' : ` folded ${fold} to a coefficient`;
    const fewerClients =
      largestMaxClients > 0
        ? `at most ${largestMaxClients} clients fit at ${bits} bits`
        : `no number of clients fits at ${bits} bits`;
    const fewerBits =
      largestBits > 0
        ? `at most ${largestBits} bits fit for ${maxClients} clients`
        : `no number of bits fits for ${maxClients} clients`;
    const noisy =
      (request.noiseVariance ?? 0) > 0 ? ` with noise of variance ${request.noiseVariance} a client` : '';
    super(
      'plan.does-not-fit',
      `Parameter set ${parameterSet} cannot hold ${bits}-bit values${folded}${noisy} of ${maxClients} clients: ` +
        `${fewerClients}, and ${fewerBits}. Lower one of the two, or split the fleet into cohorts.`,
    );
    this.largestMaxClients = largestMaxClients;
    this.largestBits = largestBits;
  }
}

// Fixed point of z^2.
const SCALE_BITS = 32n;
// ceil(ln 2 * 2^64).
const LN2_SCALED = 0xb17217f7d1cf79acn;

/** An upper bound of log2(x) * 2^SCALE_BITS, less than 2 units above it, for x >= 1. */
function log2UpperBound(x: bigint): bigint {
  const precision = 96n;
  const integerPart = BigInt(x.toString(2).length - 1);
  // mantissa in [1, 2), rounded up wherever it is rounded; squaring it shifts log2 left by one bit.
  let mantissa = (x << precision) >> integerPart;
  if (mantissa << integerPart < x << precision) mantissa += 1n;
  let fraction = 0n;
  for (let bit = 0n; bit < SCALE_BITS; bit += 1n) {
    mantissa = ((mantissa * mantissa) >> precision) + 1n;
    fraction <<= 1n;
    if (mantissa >= 2n << precision) {
      fraction += 1n;
      mantissa = (mantissa >> 1n) + 1n;
    }
  }
  return (integerPart << SCALE_BITS) + fraction + 1n;
}

/** An upper bound of z^2 * 2^SCALE_BITS, z^2 = 2 ln(2 * C * 2^64), C the number of events that may fail. */
function zSquaredUpperBound(events: number): bigint {
  const log2 = log2UpperBound(BigInt(events)) + (65n << SCALE_BITS);
  return ((2n * log2 * LN2_SCALED) >> 64n) + 1n;
}

/**
 * The variance N * v + 1/12 of a residual, times 12 q^2, which makes it an integer:
 * v = (sigma * 2^k / q)^2 + (1 + (2^k / q)^2) / 12.
 */
function scaledVariance(set: ParameterSet, wireBits: number, clients: number): bigint {
  const q2 = BigInt(set.q) ** 2n;
  const wire2 = 1n << BigInt(2 * wireBits);
  return BigInt(clients) * (BigInt(12 * set.errorVariance + 1) * wire2 + q2) + q2;
}

/** z^2 * N * (264 * 4^k + q^2) * 2^SCALE_BITS = 12 q^2 times (z * sqrt(N * (22 rho^2 + 1/12)))^2, rho = 2^k / q. */
function scaledTail(set: ParameterSet, wireBits: number, clients: number, zSquared: bigint): bigint {
  const random = BigInt(12 * set.errorVariance) * (1n << BigInt(2 * wireBits)) + BigInt(set.q) ** 2n;
  return zSquared * BigInt(clients) * random;
}

/**
 * Whether 2^(k-p-1) >= z * sqrt(N * (22 rho^2 + 1/12)) + N * rho / 2 + 1/2: the random part within z standard
 * deviations, and what is not random in full. Doubled and multiplied by q, the part that is left for the random terms is
 * (2^(k-p) - 1) * q - N * 2^k; squared, it is compared with the tail.
 */
function decodes(
  set: ParameterSet,
  wireBits: number,
  plaintextBits: number,
  clients: number,
  zSquared: bigint,
): boolean {
  if (wireBits <= plaintextBits) return false;
  const q = BigInt(set.q);
  const left = ((1n << BigInt(wireBits - plaintextBits)) - 1n) * q - (BigInt(clients) << BigInt(wireBits));
  return left > 0n && (3n * left * left) << SCALE_BITS >= scaledTail(set, wireBits, clients, zSquared);
}

interface Widths {
  readonly fold: number;
  readonly fieldBits: number;
  readonly wireBits: number;
  readonly ringElements: number;
}

/**
 * Bits of a field that holds a sum of N values of at most 2^(bits-1) - 1 and of N clients' noise, whose tail is taken
 * where it has odds below 2^-64 an update. The sum of independent Skellam or discrete Gaussian variables of variance v in
 * all obeys Bernstein's bound, P(|X| > t) <= 2 exp(-t^2 / (2 (v + t / 3))) (Skellam: log E exp(sX) = v (cosh s - 1) <=
 * v s^2 / (2 (1 - s/3)); the discrete Gaussian is sub-Gaussian with its parameter as proxy, Canonne, Kamath and Steinke,
 * arXiv 2004.00010), so t = z^2/6 + sqrt(z^4/36 + z^2 v) with z^2 = 2 ln(2 M 2^64).
 */
function fieldBitsOf(request: SegmentRequest): number {
  const { bits, maxClients, valueCount, noiseVariance = 0, segments = 1 } = request;
  let largest = BigInt(maxClients) * ((1n << BigInt(bits - 1)) - 1n);
  if (noiseVariance > 0) {
    const zSquared = zSquaredUpperBound(valueCount * segments);
    const sixth = zSquared / 6n + 1n;
    const variance = BigInt(noiseVariance) * BigInt(maxClients);
    const root = ceilSqrt(sixth * sixth + ((zSquared * variance) << SCALE_BITS));
    largest += ((sixth + root) >> SCALE_BITS) + 1n;
  }
  return largest.toString(2).length + 1;
}

function widthsAtFold(set: ParameterSet, request: SegmentRequest, fold: number): Widths | undefined {
  const fieldBits = fieldBitsOf(request);
  const ringElements = Math.ceil(Math.ceil(request.valueCount / fold) / set.n);
  const zSquared = zSquaredUpperBound(ringElements * set.n * (request.segments ?? 1));
  for (let wireBits = fold * fieldBits + 1; wireBits <= set.maxWireBits; wireBits += 1) {
    if (decodes(set, wireBits, fold * fieldBits, request.maxClients, zSquared)) {
      return { fold, fieldBits, wireBits, ringElements };
    }
  }
  return undefined;
}

function cheapestWidths(set: ParameterSet, request: SegmentRequest): Widths | undefined {
  if (request.fold !== undefined) return widthsAtFold(set, request, request.fold);
  let best: Widths | undefined;
  for (let fold = 1; fold * request.bits < set.maxWireBits; fold += 1) {
    const widths = widthsAtFold(set, request, fold);
    // Fewest bits a value, k / f, compared by cross-multiplication; on a tie the smaller fold stays.
    if (widths && (!best || widths.wireBits * best.fold < best.wireBits * widths.fold)) best = widths;
  }
  return best;
}

function largestThatFits(
  set: ParameterSet,
  lowest: number,
  highest: number,
  request: (x: number) => SegmentRequest,
): number {
  // More clients or more bits widen the field and, or, the noise: what fits is a prefix.
  let fitting = lowest - 1;
  let failing = highest + 1;
  while (failing - fitting > 1) {
    const middle = Math.floor((fitting + failing) / 2);
    if (cheapestWidths(set, request(middle))) fitting = middle;
    else failing = middle;
  }
  return fitting < lowest ? 0 : fitting;
}

function requireInteger(name: string, value: number, lowest: number, highest: number): void {
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    throw new ParameterError(
      'plan.argument-out-of-range',
      `${name} is ${value}; it must be an integer from ${lowest} to ${highest}.`,
    );
  }
}

/**
 * The widths of a segment: the narrowest wire on which the sum of up to `maxClients` updates decodes exactly, with
 * a probability of failure below 2^-64 over the whole update. Deterministic: the same request gives the same
 * integers on every machine.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 * @throws PlanDoesNotFitError `plan.does-not-fit`, with the largest `maxClients` and `bits` that fit
 */
export function segmentArithmetic(request: SegmentRequest): SegmentArithmetic {
  const set = parameterSet(request.parameterSet);
  const { segments = 1, noiseVariance = 0 } = request;
  requireInteger('The number of bits', request.bits, MIN_BITS, MAX_BITS);
  requireInteger('The number of clients', request.maxClients, 1, 2 ** 31);
  requireInteger('The number of values', request.valueCount, 1, MAX_VALUE_COUNT);
  requireInteger('The number of segments', segments, 1, MAX_SEGMENTS);
  requireInteger("The noise's variance", noiseVariance, 0, MAX_NOISE_VARIANCE);
  if (request.fold !== undefined) requireInteger('The fold', request.fold, 1, set.maxWireBits);

  const widths = cheapestWidths(set, request);
  if (!widths) {
    throw new PlanDoesNotFitError(
      request,
      largestThatFits(set, 1, request.maxClients, (maxClients) => ({ ...request, maxClients })),
      largestThatFits(set, MIN_BITS, request.bits, (bits) => ({ ...request, bits })),
    );
  }
  const { fold, fieldBits, wireBits, ringElements } = widths;
  const zSquared = zSquaredUpperBound(ringElements * set.n * segments);
  return {
    parameterSet: request.parameterSet,
    bits: request.bits,
    maxClients: request.maxClients,
    valueCount: request.valueCount,
    noiseVariance,
    valueBound: 2 ** (request.bits - 1) - 1,
    fieldBits,
    fold,
    plaintextBits: fold * fieldBits,
    wireBits,
    ringElements,
    chunkCount: Math.ceil(ringElements / CHUNK_LANES),
    ciphertextBytes: ((ringElements * set.n) / 8) * wireBits,
    z: Math.sqrt(Number(zSquared) / 2 ** Number(SCALE_BITS)),
    residualBound: 2 ** (wireBits - fold * fieldBits - 1),
    residualSigma: residualSigma(request.parameterSet, wireBits, request.maxClients),
  };
}

/**
 * The arithmetic of an update whose values have one width or several.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 * @throws PlanDoesNotFitError `plan.does-not-fit`
 */
export function planArithmetic(request: PlanRequest): PlanArithmetic {
  const { parameterSet: name, maxClients, noiseVariance = 0 } = request;
  requireInteger('The number of segments', request.segments.length, 1, MAX_SEGMENTS);
  const segments: PlanSegment[] = [];
  let valueCount = 0;
  let ringElements = 0;
  let ciphertextBytes = 0;
  for (const asked of request.segments) {
    const segment = segmentArithmetic({
      ...asked,
      parameterSet: name,
      maxClients,
      noiseVariance,
      segments: request.segments.length,
    });
    segments.push({
      ...segment,
      firstElement: ringElements,
      firstValue: valueCount,
      offsetBytes: ciphertextBytes,
    });
    valueCount += segment.valueCount;
    ringElements += segment.ringElements;
    ciphertextBytes += segment.ciphertextBytes;
  }
  requireInteger('The number of values', valueCount, 1, MAX_VALUE_COUNT);
  return {
    parameterSet: name,
    maxClients,
    noiseVariance,
    segments,
    valueCount,
    ringElements,
    ciphertextBytes,
  };
}

/**
 * Predicted standard deviation of a residual, in units of the wire, for messages that differ from client to client, when `clients` updates with independent
 * messages are summed: sqrt(N * v + 1/12). (For one client it is an upper bound: the two roundings, of the
 * ciphertext and of the mask, then agree and cancel.) For reports; decisions use {@link residualLimit}.
 */
export function residualSigma(name: ParameterSetName, wireBits: number, clients: number): number {
  const set = parameterSet(name);
  return Math.sqrt(Number(scaledVariance(set, wireBits, clients)) / (12 * set.q * set.q));
}

function ceilSqrt(x: bigint): bigint {
  if (x < 2n) return x;
  // Newton's iteration from above ends at floor(sqrt(x)).
  let root = 1n << BigInt((x.toString(2).length + 1) >> 1);
  for (let next = (root + x / root) >> 1n; next < root; next = (root + x / root) >> 1n) root = next;
  return root * root < x ? root + 1n : root;
}

/**
 * The largest |residual| that an honest sum of `clients` updates shows, but for odds below 2^-64. What lies beyond comes
 * from a wrong sum of secrets or a tampered aggregate. Fewer clients than the plan admits make less noise, so the
 * limit is computed for those who took part: ceil(z * sqrt(N * (22 rho^2 + 1/12)) + N * rho / 2 + 1/2).
 *
 * @param clients 1..plan.maxClients
 * @param segments of the update, which share its odds of failure
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function residualLimit(plan: SegmentArithmetic, clients: number, segments = 1): number {
  requireInteger('The number of clients', clients, 1, plan.maxClients);
  const set = parameterSet(plan.parameterSet);
  const q = BigInt(set.q);
  const zSquared = zSquaredUpperBound(plan.ringElements * set.n * segments);
  // (2q * z * sqrt(...))^2, rounded up.
  const unit = 3n << SCALE_BITS;
  const squared = (scaledTail(set, plan.wireBits, clients, zSquared) + unit - 1n) / unit;
  const doubled = ceilSqrt(squared) + (BigInt(clients) << BigInt(plan.wireBits)) + q;
  return Number((doubled + 2n * q - 1n) / (2n * q));
}
