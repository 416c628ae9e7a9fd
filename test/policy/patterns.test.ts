import { expect } from 'chai';
import fc from 'fast-check';
import { ParameterError } from '../../lib/errors.js';
import { compilePatterns } from '../../lib/policy/patterns.js';
import { expectRefusal } from '../support/refusals.js';

const matches = (pattern: string, name: string) => compilePatterns([pattern])(name);

describe('a pattern over module names', () => {
  const table: [pattern: string, name: string, expected: boolean][] = [
    ['model.state_proj', 'model.state_proj', true],
    ['model.state_proj', 'model.state_proj.x', false],
    ['model.state_proj', 'a.model.state_proj', false],
    ['model.state.proj', 'model.state_proj', false],
    ['layers.*.self_attn', 'layers.11.self_attn', true],
    ['layers.*.self_attn', 'layers.1.1.self_attn', false],
    ['layers.*', 'layers.', true],
    ['layers.**', 'layers', false],
    ['layers.**.q_proj', 'layers.0.self_attn.q_proj', true],
    ['layers.**.q_proj', 'layers.0.self_attn.q_proj.lora', false],
    ['**', '', true],
    ['**', 'a.b.c', true],
    ['*', 'a.b', false],
    ['***', 'a.b', true],
    ['*_proj', 'q_proj', true],
    ['*_proj*', 'q_projection', true],
    ['**_1**', 'attn.q_einsum_1.lora_a', true],
    ['a[bc]+$', 'ab', false],
    ['a[bc]+$', 'a[bc]+$', true],
    ['*.*.*', 'a.b.c', true],
    ['*.*.*', 'a.b', false],
  ];
  for (const [pattern, name, expected] of table) {
    it(`${JSON.stringify(pattern)} ${expected ? 'describes' : 'does not describe'} ${JSON.stringify(name)}`, () => {
      expect(matches(pattern, name)).to.equal(expected);
    });
  }

  it('agrees with a regular expression on any short pattern and name', () => {
    const pattern = fc.array(fc.constantFrom('a', 'b', '.', '*', '**'), { minLength: 1, maxLength: 8 });
    const name = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 10 });
    fc.assert(
      fc.property(pattern, name, (parts, characters) => {
        const glob = parts.join('');
        const expression = glob.replace(/\*{2,}|[*.]/g, (found) =>
          found === '.' ? '\\.' : found === '*' ? '[^.]*' : '.*',
        );
        const text = characters.join('');
        expect(matches(glob, text), `${glob} on ${text}`).to.equal(
          new RegExp(`^${expression}$`, 's').test(text),
        );
      }),
      { numRuns: 5000 },
    );
  });

  it('takes time in proportion to the name where backtracking would take for ever', function () {
    this.timeout(20_000);
    // Eighty wildcards, each of which can end anywhere: a backtracking matcher tries n^80 ways.
    for (const wildcard of ['*', '**']) {
      const test = compilePatterns([`${wildcard}a`.repeat(80)]);
      expect(test('a'.repeat(20_000))).to.equal(true);
      expect(test(`${'a'.repeat(20_000)}b`)).to.equal(false);
      expect(test('a'.repeat(79))).to.equal(false);
    }
  });

  it('describes what any of several patterns describe, and nothing where there is none', () => {
    const test = compilePatterns(['a.*', 'b']);
    expect(['a.x', 'b', 'a', 'c'].map(test)).to.deep.equal([true, true, false, false]);
    expect(compilePatterns([])('a')).to.equal(false);
  });

  it('may have 256 characters', () => {
    expect(matches('a'.repeat(256), 'a'.repeat(256))).to.equal(true);
  });

  const bad: [string, string][] = [
    ['that is empty', ''],
    ['of 257 characters', 'a'.repeat(257)],
    ['with a line feed', 'a\nb'],
    ['with a NUL', 'a\0'],
    ['with a C1 control', 'a\u0085'],
  ];
  for (const [what, pattern] of bad) {
    it(`${what} is refused`, async () => {
      const error = await expectRefusal('policy.bad-pattern', () => compilePatterns(['fine', pattern]));
      expect(error).to.be.instanceOf(ParameterError);
      expect(error.message).to.not.match(/\p{Cc}/u);
    });
  }
});
