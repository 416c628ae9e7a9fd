import { expect } from 'chai';
import { Command, InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { integerOption, parameterSetOption, positiveNumberOption } from '../../lib/cli/options.js';

describe('values of options', () => {
  it('takes every whole number within the bounds, and no other', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), fc.nat(3000), (min, width, value) => {
        const max = min + width;
        const parse = integerOption(min, max);
        if (value >= min && value <= max) expect(parse(String(value))).to.equal(value);
        else expect(() => parse(String(value))).to.throw(InvalidArgumentError, `from ${min} to ${max}`);
      }),
    );
  });

  for (const text of [
    '',
    ' ',
    '7.5',
    '-7',
    '+7',
    '1e1',
    '0x7',
    ' 7',
    '7 ',
    '٧',
    'NaN',
    'Infinity',
    'seven',
  ]) {
    it(`refuses ${JSON.stringify(text)} as a whole number`, () => {
      expect(() => integerOption(0, 100)(text)).to.throw(InvalidArgumentError);
    });
  }

  for (const [text, value] of [
    ['0.5', 0.5],
    ['1e-3', 0.001],
    ['2', 2],
  ] as const) {
    it(`takes ${text} as a positive number`, () => {
      expect(positiveNumberOption(text)).to.equal(value);
    });
  }

  for (const text of ['', '0', '-1', '-0', 'NaN', 'Infinity', '1e999', '1,5', 'much']) {
    it(`refuses ${JSON.stringify(text)} as a positive number`, () => {
      expect(() => positiveNumberOption(text)).to.throw(InvalidArgumentError);
    });
  }

  it('takes the two parameter sets, lwe-192 unless told', () => {
    const parse = (args: string[]): unknown =>
      new Command()
        .exitOverride()
        .configureOutput({ writeErr: () => undefined })
        .addOption(parameterSetOption())
        .parse(args, { from: 'user' })
        .opts()['params'];
    expect(parse([])).to.equal('lwe-192');
    expect(parse(['--params', 'lwe-128'])).to.equal('lwe-128');
    expect(() => parse(['--params', 'lwe-64'])).to.throw('lwe-192, lwe-128');
  });
});
