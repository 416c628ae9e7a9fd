import { expect } from 'chai';
import fc from 'fast-check';
import { JsonCursor, type JsonProblem, quoteName } from '../../lib/adapter/json-cursor.js';

class Refused extends Error {
  constructor(
    readonly problem: JsonProblem,
    detail: string,
  ) {
    super(detail);
  }
}

function cursorOn(text: string): JsonCursor {
  return new JsonCursor(text, (problem, detail) => new Refused(problem, detail));
}

/** What a text is refused for when it is read as any one value. */
function problemOf(text: string): JsonProblem | undefined {
  try {
    const cursor = cursorOn(text);
    cursor.skipValue();
    cursor.end();
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.problem;
    throw error;
  }
}

function accepts(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('the JSON cursor', () => {
  it('accepts whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        expect(problemOf(text)).to.equal(undefined);
      }),
    );
  });

  it('agrees with JSON.parse about texts with a few characters changed', () => {
    const mutation = fc.tuple(fc.nat(), fc.constantFrom(...'{}[]",:\\0-+.eE1 \n\u0001tfnu/'));
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), fc.array(mutation, { maxLength: 3 }), (text, mutations) => {
        let changed = text;
        for (const [at, character] of mutations) {
          const index = at % (changed.length + 1);
          changed = changed.slice(0, index) + character + changed.slice(index + 1);
        }
        const problem = problemOf(changed);
        // Equal keys and lone surrogates are JSON, and refused here.
        if (problem === 'duplicate-key' || /\\u[dD][89a-fA-F]/.test(changed)) return;
        expect(problem === undefined, changed).to.equal(accepts(JSON.parse, changed));
      }),
      { numRuns: 3000 },
    );
  });

  it('refuses equal keys at every level, however they are written', () => {
    expect(problemOf('{"a":1,"a":2}')).to.equal('duplicate-key');
    expect(problemOf('{"a":1,"\\u0061":2}')).to.equal('duplicate-key');
    expect(problemOf('[{"x":{"y":1,"z":2,"y":1}}]')).to.equal('duplicate-key');
    expect(problemOf('{"__proto__":1,"__proto__":2}')).to.equal('duplicate-key');
    expect(problemOf('{"a":{"b":1},"b":{"a":1}}')).to.equal(undefined);
  });

  it('refuses a lone surrogate, written out or escaped, and reads a pair', () => {
    expect(problemOf('"\\ud800"')).to.equal('malformed');
    expect(problemOf('"\ud800"')).to.equal('malformed');
    expect(cursorOn('"\\ud83e\\udd16"').string()).to.equal('🤖');
  });

  it('refuses nesting beyond 64 levels without exhausting the stack', () => {
    expect(problemOf(`${'['.repeat(64)}${']'.repeat(64)}`)).to.equal(undefined);
    expect(problemOf('['.repeat(1_000_000))).to.equal('malformed');
  });

  it('reads integers only as plain digits below 2^53', () => {
    expect(cursorOn(' 9007199254740991 ').unsignedInteger()).to.equal(Number.MAX_SAFE_INTEGER);
    expect(cursorOn('0').unsignedInteger()).to.equal(0);
    for (const text of [
      '-1',
      '-0',
      '1.0',
      '1e3',
      '01',
      '9007199254740992',
      '1'.repeat(400),
      '"1"',
      '',
      'null',
    ]) {
      expect(() => {
        const cursor = cursorOn(text);
        cursor.unsignedInteger();
        cursor.end();
      }, text).to.throw(Refused);
    }
  });

  it('says where it stopped and what it found there', () => {
    expect(() => cursorOn('{"a" 1}').object(() => undefined)).to.throw(
      'expected \':\' at offset 5, found "1}"',
    );
  });
});

describe('a quoted name', () => {
  it('has no control characters and a bounded length', () => {
    expect(quoteName('a\n\u001b[31m')).to.equal('"a\\n\\u001b[31m"');
    expect(quoteName('x'.repeat(10_000)).length).to.be.lessThan(250);
  });
});
