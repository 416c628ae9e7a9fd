/**
 * Patterns over dotted module names, as policies write them: `*` stands for any characters except the
 * dot, `**` for any characters, everything else for itself. A pattern describes the whole name.
 */
import { ParameterError } from '../errors.js';

const MAX_PATTERN_CHARACTERS = 256;

const WITHIN_COMPONENT = Symbol('*');
const ACROSS_COMPONENTS = Symbol('**');

/** One UTF-16 code unit, or a wildcard. */
type Token = string | typeof WITHIN_COMPONENT | typeof ACROSS_COMPONENTS;

/**
 * The test whether a module name fits at least one of the patterns; for no patterns, it always says no.
 *
 * Matching a name of n characters against a pattern of m takes at most n * m steps (m <= 256): all the
 * places where a match may stand advance together, and none is ever tried twice. Patterns come from
 * configuration and names from files, so neither may be able to make matching slow.
 *
 * @throws ParameterError `policy.bad-pattern` for a pattern that is empty, longer than 256 characters or
 *   has a control character
 */
export function compilePatterns(patterns: readonly string[]): (moduleName: string) => boolean {
  const matchers = patterns.map(compilePattern);
  return (moduleName) => matchers.some((matches) => matches(moduleName));
}

function compilePattern(pattern: string): (moduleName: string) => boolean {
  checkPattern(pattern);
  const firstWildcard = pattern.indexOf('*');
  if (firstWildcard < 0) return (moduleName) => moduleName === pattern;
  // Most names of a policy differ from most patterns in their first component.
  const prefix = pattern.slice(0, firstWildcard);
  const tokens = tokenize(pattern.slice(firstWildcard));
  return (moduleName) => moduleName.startsWith(prefix) && matchesTokens(tokens, moduleName, prefix.length);
}

function checkPattern(pattern: string): void {
  const problem =
    pattern.length === 0
      ? 'is empty'
      : pattern.length > MAX_PATTERN_CHARACTERS
        ? `has ${pattern.length} characters, of which at most ${MAX_PATTERN_CHARACTERS} are allowed`
        : /\p{Cc}/u.test(pattern)
          ? 'has a control character'
          : undefined;
  if (problem === undefined) return;
  const start = pattern.length > 64 ? `${pattern.slice(0, 64)}...` : pattern;
  // JSON.stringify leaves DEL and the C1 controls, which terminals act on, as they are.
  const shown = JSON.stringify(start).replace(/\p{Cc}/gu, '\ufffd');
  throw new ParameterError(
    'policy.bad-pattern',
    `The module pattern ${shown} ${problem}. Write a module name in which * stands for anything but a dot and ** for anything.`,
  );
}

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (const [run] of pattern.matchAll(/\*+|[^*]+/g)) {
    if (run === '*') tokens.push(WITHIN_COMPONENT);
    // Whatever a third star could match, ** matches.
    else if (run.startsWith('**')) tokens.push(ACROSS_COMPONENTS);
    else for (let at = 0; at < run.length; at++) tokens.push(run.charAt(at));
  }
  return tokens;
}

/** Whether `tokens` describe all of `name` from `start` on: the pattern as an automaton, run in step. */
function matchesTokens(tokens: readonly Token[], name: string, start: number): boolean {
  let places = withSkippedWildcards(tokens, [0]);
  for (let at = start; at < name.length && places.length > 0; at++) {
    const character = name.charAt(at);
    const next: number[] = [];
    // Ascending places give ascending successors, so a duplicate can only be the last one.
    const add = (place: number) => {
      if (next[next.length - 1] !== place) next.push(place);
    };
    for (const place of places) {
      const token = tokens[place];
      if (token === ACROSS_COMPONENTS || (token === WITHIN_COMPONENT && character !== '.')) add(place);
      else if (token === character) add(place + 1);
    }
    places = withSkippedWildcards(tokens, next);
  }
  return places[places.length - 1] === tokens.length;
}

/** A wildcard may stand for nothing: whoever stands before one stands after it, too. Ascending, distinct. */
function withSkippedWildcards(tokens: readonly Token[], places: readonly number[]): number[] {
  const all: number[] = [];
  for (const place of places) {
    for (let reached = place; ; reached++) {
      if (all.length === 0 || (all[all.length - 1] as number) < reached) all.push(reached);
      if (reached >= tokens.length || typeof tokens[reached] === 'string') break;
    }
  }
  return all;
}
