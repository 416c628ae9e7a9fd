/**
 * `Signature-Input` and `Signature`, read in the one form that the profile allows.
 *
 * A general parser of structured fields takes more than is safe to verify: of two members with one label the later silently
 * wins; of several signatures it is enough that one holds; a component may carry flags (`;req`, `;key`, `;bs`) that change what
 * is signed and still pass for the plain one; a `created` that is a string makes every comparison of times false. None of that
 * has a place here, so none is parsed.
 */
import { RefusedError } from '../../errors.js';
import {
  DIGEST_COMPONENT,
  REQUEST_COMPONENTS,
  SIGNATURE_ALGORITHM,
  SIGNATURE_PARAMETERS,
  SIGNATURE_TAG,
  type SignedComponent,
} from './signature-profile.js';

export interface SignatureInput {
  readonly components: readonly SignedComponent[];
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly nonce: string;
  /** 64 lower-case hexadecimal digits. */
  readonly keyId: string;
}

const MAX_HEADER_CHARACTERS = 1024;
const INPUT =
  /^([a-z][a-z0-9_-]{0,31})=\(([a-z@" -]*)\)((?:;[a-z]+=(?:"[\x20\x21\x23-\x5b\x5d-\x7e]*"|\d{1,12}))*)$/;
const PARAMETER = /;([a-z]+)=(?:"([^"]*)"|(0|[1-9]\d*)(?=;|$))/g;
const SIGNATURE = /^([a-z][a-z0-9_-]{0,31})=:[A-Za-z0-9+/]{86}==:$/;
const NONCE = /^[A-Za-z0-9_-]{16,64}$/;
const KEY_ID = /^[0-9a-f]{64}$/;

function malformed(what: string): RefusedError {
  return new RefusedError('auth.malformed-signature', `${what} See the description of the API at /docs.`);
}

/**
 * @param signature the value of `Signature`; only its form is checked
 * @throws RefusedError `auth.malformed-signature`, `auth.missing-component`, `auth.unexpected-component`,
 *   `auth.missing-parameter`, `auth.unexpected-parameter`, `auth.wrong-algorithm`, `auth.wrong-tag`
 */
export function parseSignatureInput(signatureInput: string, signature: string): SignatureInput {
  if (signatureInput.length > MAX_HEADER_CHARACTERS) throw malformed('Signature-Input is too long.');
  const [, label, list, parameterText] = INPUT.exec(signatureInput) ?? [];
  if (label === undefined || list === undefined || parameterText === undefined) {
    throw malformed('Signature-Input must hold one signature: label=(components);parameters.');
  }
  if (SIGNATURE.exec(signature)?.[1] !== label) {
    throw malformed('Signature must hold one signature of 64 bytes, under the label of Signature-Input.');
  }
  const parameters = parseParameters(parameterText);
  requireValue(parameters, 'alg', SIGNATURE_ALGORITHM, 'auth.wrong-algorithm');
  requireValue(parameters, 'tag', SIGNATURE_TAG, 'auth.wrong-tag');
  return {
    components: parseComponents(list),
    createdMs: integerOf(parameters, 'created') * 1000,
    expiresMs: integerOf(parameters, 'expires') * 1000,
    nonce: textOf(parameters, 'nonce', NONCE),
    keyId: textOf(parameters, 'keyid', KEY_ID),
  };
}

/** Every component of the request line, the digest or not, each once, in any order. */
function parseComponents(list: string): readonly SignedComponent[] {
  const known: readonly string[] = [...REQUEST_COMPONENTS, DIGEST_COMPONENT];
  const components = list.split(' ').map((quoted) => {
    const name = quoted.slice(1, -1);
    if (quoted !== `"${name}"` || !known.includes(name)) {
      throw new RefusedError(
        'auth.unexpected-component',
        `The signature may cover ${known.join(', ')} and nothing else, separated by one space.`,
      );
    }
    return name as SignedComponent;
  });
  if (new Set(components).size !== components.length) {
    throw new RefusedError('auth.unexpected-component', 'The signature covers a component twice.');
  }
  const missing = REQUEST_COMPONENTS.find((component) => !components.includes(component));
  if (missing !== undefined) {
    throw new RefusedError('auth.missing-component', `The signature must cover ${missing}.`);
  }
  return components;
}

type Parameters = ReadonlyMap<string, string | number>;

function parseParameters(text: string): Parameters {
  const parameters = new Map<string, string | number>();
  let parsedCharacters = 0;
  for (const [whole, name = '', quoted, digits] of text.matchAll(PARAMETER)) {
    parsedCharacters += whole.length;
    if (parameters.has(name) || !(SIGNATURE_PARAMETERS as readonly string[]).includes(name)) {
      throw new RefusedError(
        'auth.unexpected-parameter',
        `The signature's parameters are ${SIGNATURE_PARAMETERS.join(', ')}, each once.`,
      );
    }
    parameters.set(name, quoted ?? Number(digits));
  }
  // An integer with leading zeros would be serialized without them, and another base would be verified.
  if (parsedCharacters !== text.length) throw malformed('A number in Signature-Input has leading zeros.');
  return parameters;
}

function parameterOf(parameters: Parameters, name: string): string | number {
  const value = parameters.get(name);
  if (value === undefined) {
    throw new RefusedError('auth.missing-parameter', `The signature must have the parameter ${name}.`);
  }
  return value;
}

function requireValue(parameters: Parameters, name: string, value: string, code: string): void {
  if (parameterOf(parameters, name) === value) return;
  throw new RefusedError(code, `The signature's ${name} must be "${value}".`);
}

function integerOf(parameters: Parameters, name: string): number {
  const value = parameterOf(parameters, name);
  if (typeof value !== 'number') throw malformed(`The signature's ${name} must be seconds since 1970.`);
  return value;
}

function textOf(parameters: Parameters, name: string, form: RegExp): string {
  const value = parameterOf(parameters, name);
  if (typeof value !== 'string' || !form.test(value)) {
    throw malformed(`The signature's ${name} does not match ${form.source}.`);
  }
  return value;
}
