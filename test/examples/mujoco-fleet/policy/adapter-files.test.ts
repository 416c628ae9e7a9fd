import { join } from 'node:path';
import { expect } from 'chai';
import { readLora, writeLora } from '../../../../examples/mujoco-fleet/policy/adapter-files.js';
import { createLora } from '../../../../examples/mujoco-fleet/policy/lora.js';
import { createNetwork } from '../../../../examples/mujoco-fleet/policy/network.js';
import { readPolicy, writePolicy } from '../../../../examples/mujoco-fleet/policy/policy-file.js';
import { loadPeftAdapter } from '../../../../lib/adapter/peft.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

describe("the policy's files", () => {
  const network = createNetwork([13, 8, 7, 2], 1);

  it('give back an adapter, bit for bit, and the policy that it adapts', async () => {
    const lora = createLora(network, 4, 8, 2);
    for (const { up } of lora.factors) up.set(up.map((_, i) => Math.sin(i)));
    const directory = join(await temporaryDirectory(), 'adapter');
    await writeLora(directory, lora, 'some/base');
    expect(await readLora(directory)).to.deep.equal({ lora, base: 'some/base' });
  });

  it('hold an adapter under the names that PEFT gives', async () => {
    const directory = join(await temporaryDirectory(), 'adapter');
    await writeLora(directory, createLora(network, 4, 8, 2), 'some/base');
    const { tensors, config } = await loadPeftAdapter(directory);
    await tensors.close();
    expect(tensors.names).to.deep.equal([
      'base_model.model.policy.layers.0.lora_A.weight',
      'base_model.model.policy.layers.0.lora_B.weight',
      'base_model.model.policy.layers.1.lora_A.weight',
      'base_model.model.policy.layers.1.lora_B.weight',
    ]);
    expect(tensors.info('base_model.model.policy.layers.1.lora_B.weight').shape).to.deep.equal([7, 4]);
    expect(config).to.include({ peft_type: 'LORA', r: 4, lora_alpha: 8 });
    expect(config.target_modules).to.deep.equal(['policy.layers.0', 'policy.layers.1']);
  });

  it('give back the pre-trained policy, its layers in order', async () => {
    const directory = await temporaryDirectory();
    await writePolicy(directory, network);
    expect(await readPolicy(directory)).to.deep.equal(network);
  });
});
