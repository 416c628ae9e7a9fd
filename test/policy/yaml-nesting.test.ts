import { expect } from 'chai';
import { isShallow } from '../../lib/policy/yaml-nesting.js';

const brackets = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('the nesting of YAML', () => {
  it('may be 32 brackets deep, of either kind', () => {
    expect(isShallow(brackets(32))).to.equal(true);
    expect(isShallow(brackets(33))).to.equal(false);
    expect(isShallow('{a: ['.repeat(16))).to.equal(true);
    expect(isShallow('{a: ['.repeat(17))).to.equal(false);
  });

  it('is not what stands in strings and comments, nor what follows one another', () => {
    expect(isShallow(`a: "${brackets(100)}"\nb: '${brackets(100)}' # ${brackets(100)}`)).to.equal(true);
    expect(isShallow('[], '.repeat(1000))).to.equal(true);
  });

  it('is not hidden by brackets that strings seem to close', () => {
    expect(isShallow('["]", '.repeat(33))).to.equal(false);
  });

  it('is bounded for blocks by how far they are indented, whether over lines or on one', () => {
    const keys = (depth: number) => Array.from({ length: depth }, (_, i) => `${' '.repeat(i)}a:`).join('\n');
    expect(isShallow(keys(100))).to.equal(true);
    expect(isShallow(keys(200))).to.equal(false);
    for (const item of ['- ', '? ', '- &a ']) {
      expect(isShallow(item.repeat(20)), item).to.equal(true);
      expect(isShallow(item.repeat(200)), item).to.equal(false);
    }
  });

  it('ends the search at the first excess, however long the text', () => {
    const begun = performance.now();
    expect(isShallow('['.repeat(10_000_000))).to.equal(false);
    expect(performance.now() - begun).to.be.lessThan(5000);
  });
});
