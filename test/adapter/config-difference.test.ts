import { expect } from 'chai';
import { compareConfigs } from '../../lib/adapter/config-difference.js';
import { CONFIG } from '../round/support/adapters.js';

describe('comparing the settings of adapters', () => {
  it('names the settings that changed', () => {
    const { r, ...without } = CONFIG;
    expect(compareConfigs(CONFIG, { ...CONFIG })).to.deep.equal([]);
    expect(compareConfigs(CONFIG, { ...without, lora_alpha: 99, use_rslora: true })).to.deep.equal([
      { name: 'lora_alpha', a: 8, b: 99 },
      { name: 'r', a: r },
      { name: 'use_rslora', b: true },
    ]);
  });
});
