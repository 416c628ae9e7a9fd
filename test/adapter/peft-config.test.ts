import { expect } from 'chai';
import { parseAdapterConfig, peftTypeAllowed } from '../../lib/adapter/peft-config.js';
import { RefusedError } from '../../lib/errors.js';
import { expectRefusal, refusalOf } from './refusals.js';

const parse = (text: string | Uint8Array) =>
  parseAdapterConfig(typeof text === 'string' ? Buffer.from(text) : text, 'adapter_config.json');

describe('an adapter_config.json', () => {
  it('is read with the keys that matter typed and all others kept', () => {
    const text = '{"peft_type":"LORA","r":8,"target_modules":["q"],"from_a_newer_peft":{"x":[1,null]}}';
    const config = parse(text);
    expect(config.r).to.equal(8);
    expect(config).to.deep.equal(JSON.parse(text));
  });

  it('may name its target modules as a list or as a pattern, or not at all', () => {
    for (const targets of ['["q_proj"]', '"model\\\\..*"', 'null']) {
      parse(`{"peft_type":"LORA","target_modules":${targets}}`);
    }
  });

  it('is refused for a PEFT type other than LoRA, by name', async () => {
    for (const type of ['LOHA', 'ADALORA', 'PREFIX_TUNING', 'lora']) {
      const error = await refusalOf(() => parse(`{"peft_type":"${type}"}`));
      expect(error).to.be.instanceOf(RefusedError);
      expect(error.code).to.equal('adapter.peft-type-unsupported');
      expect(error.message).to.include(type);
    }
  });

  const parseAllowing = (text: string, ...peftTypes: string[]) =>
    parseAdapterConfig(Buffer.from(text), 'adapter_config.json', peftTypes);

  it('may be of another type where the envelope lists it, and of LoRA only where it lists that', async () => {
    expect(parseAllowing('{"peft_type":"IA3","feedforward_modules":["fc"]}', 'LORA', 'IA3')).to.deep.equal({
      peft_type: 'IA3',
      feedforward_modules: ['fc'],
    });
    for (const [type, allowed] of [
      ['LORA', ['IA3']],
      ['ia3', ['IA3']],
      ['IA3', []],
    ] as const) {
      const error = await refusalOf(() => parseAllowing(`{"peft_type":"${type}"}`, ...allowed));
      expect(error).to.be.instanceOf(RefusedError);
      expect(error.code).to.equal('adapter.peft-type-unsupported');
      for (const part of [type, 'peftTypes', ...allowed]) expect(error.message).to.include(part);
    }
    expect(peftTypeAllowed({ peft_type: 'IA3' }, ['LORA', 'IA3'])).to.equal(true);
    expect(peftTypeAllowed({ peft_type: 'IA3' }, ['LORA'])).to.equal(false);
  });

  it('may hold in r and rank_pattern what other types than LoRA put there', async () => {
    expect(parseAllowing('{"peft_type":"OFT","r":0}', 'OFT').r).to.equal(0);
    parseAllowing('{"peft_type":"ADALORA","rank_pattern":{"q":[true,false]}}', 'ADALORA');
    await expectRefusal(
      () => parse('{"peft_type":"LORA","rank_pattern":{"q":[true,false]}}'),
      'adapter.config-invalid',
    );
  });

  const refused: [string, string, string | Uint8Array][] = [
    ['no object', 'adapter.config-invalid', '[]'],
    ['no PEFT type', 'adapter.config-invalid', '{"r":8}'],
    ['a rank of 0', 'adapter.config-invalid', '{"peft_type":"LORA","r":0}'],
    ['a fractional rank', 'adapter.config-invalid', '{"peft_type":"LORA","r":1.5}'],
    ['a rank that is a text', 'adapter.config-invalid', '{"peft_type":"LORA","r":"8"}'],
    [
      'target modules that are numbers',
      'adapter.config-invalid',
      '{"peft_type":"LORA","target_modules":[1]}',
    ],
    ['a key that occurs twice', 'adapter.config-duplicate-key', '{"peft_type":"LOHA","peft_type":"LORA"}'],
    ['NaN', 'adapter.config-malformed', '{"peft_type":"LORA","lora_alpha":NaN}'],
    ['an early end', 'adapter.config-malformed', '{"peft_type":"LORA"'],
    ['emptiness', 'adapter.config-malformed', ''],
    ['bytes that are not UTF-8', 'adapter.config-malformed', Buffer.from('{"\xe4":1}', 'latin1')],
    ['a size above 1 MiB', 'adapter.config-too-large', `{"peft_type":"LORA"}${' '.repeat(1 << 20)}`],
  ];
  for (const [what, code, text] of refused) {
    it(`is refused for ${what} (${code})`, async () => {
      await expectRefusal(() => parse(text), code, 'adapter_config.json');
    });
  }
});
