import { expect } from 'chai';
import { assignExperts, type ExpertSet } from '../../../lib/policy/experts/expert-set.js';
import { OCTO_FLAX } from '../../../lib/policy/experts/octo.js';
import { OPENVLA_HUGGING_FACE } from '../../../lib/policy/experts/openvla.js';
import { PI0_LEROBOT, PI0_OPENPI_JAX, PI0_OPENPI_TORCH } from '../../../lib/policy/experts/pi0.js';
import { detectExperts, SHIPPED_EXPERT_SETS } from '../../../lib/policy/experts/shipped.js';
import { SMOLVLA_LEROBOT } from '../../../lib/policy/experts/smolvla.js';
import * as lists from './module-lists.js';

type Expected = Readonly<Record<'vision' | 'language' | 'action', readonly string[]>>;

const families: [set: ExpertSet, expected: Expected][] = [
  [OPENVLA_HUGGING_FACE, lists.openVla],
  [PI0_LEROBOT, lists.pi0LeRobot],
  [PI0_OPENPI_TORCH, lists.pi0OpenpiTorch],
  [PI0_OPENPI_JAX, lists.pi0OpenpiJax],
  [SMOLVLA_LEROBOT, lists.smolVla],
  [OCTO_FLAX, lists.octo],
];

function modulesByExpert(set: ExpertSet, modules: readonly string[]): Record<string, string[]> {
  const { experts, expertOf } = assignExperts(set.experts, modules);
  const found: Record<string, string[]> = Object.fromEntries(experts.map(({ name }) => [name, []]));
  modules.forEach((module, index) => {
    found[experts[expertOf[index] as number]?.name as string]?.push(module);
  });
  return found;
}

describe('the shipped expert sets', () => {
  for (const [set, expected] of families) {
    const all = [...expected.action, ...expected.language, ...expected.vision];

    it(`sort every module of ${set.policyFamily} in ${set.naming} naming`, () => {
      expect(modulesByExpert(set, all)).to.deep.equal(expected);
    });

    it(`are told apart by ${set.policyFamily} in ${set.naming} naming`, () => {
      expect(detectExperts(all)).to.equal(set);
      expect(detectExperts(expected.vision)).to.equal(set);
    });
  }

  it('know the 439 modules that all-linear LoRA adapts in OpenVLA 7B', () => {
    const { vision, language, action } = lists.openVla;
    const sorted = modulesByExpert(OPENVLA_HUGGING_FACE, [...vision, ...language, ...action]);
    expect(Object.values(sorted).map(({ length }) => length)).to.deep.equal([214, 224, 1]);
  });

  it("find LeRobot's default adapters, which hold action modules only", () => {
    expect(detectExperts(lists.smolVlaDefault)).to.equal(SMOLVLA_LEROBOT);
    expect(detectExperts(lists.pi0LeRobotDefault)).to.equal(PI0_LEROBOT);
    expect(detectExperts(lists.pi05LeRobotDefault)).to.equal(PI0_LEROBOT);
    expect(lists.smolVlaDefault).to.have.length(37);
    expect(modulesByExpert(SMOLVLA_LEROBOT, lists.smolVlaDefault)['action']).to.have.length(37);
  });

  it("find an adapter of pi0 from when PaliGemma's parts had no model above them", () => {
    const old = Object.fromEntries(
      Object.entries(lists.pi0LeRobot).map(([expert, modules]) => [
        expert,
        modules.map((module) =>
          module
            .replace('paligemma.model.language_model.', 'paligemma.language_model.model.')
            .replace('paligemma.lm_head', 'paligemma.language_model.lm_head')
            .replace('paligemma.model.', 'paligemma.'),
        ),
      ]),
    ) as unknown as Expected;
    const all = [...old.action, ...old.language, ...old.vision];
    expect(detectExperts(all)).to.equal(PI0_LEROBOT);
    expect(modulesByExpert(PI0_LEROBOT, all)).to.deep.equal(old);
  });

  it('are not guessed at: one foreign module, no module, or two sets that fit find none', () => {
    expect(detectExperts([...lists.openVla.language, 'value_head.fc'])).to.equal(undefined);
    expect(detectExperts([])).to.equal(undefined);
    expect(detectExperts(['model.state_proj', 'model.action_in_proj'])).to.equal(undefined);
  });

  it('have the default weights, of which the largest is 1, and a source', () => {
    for (const { experts, source } of SHIPPED_EXPERT_SETS) {
      const weights = Object.fromEntries(experts.map(({ name, weight }) => [name, weight]));
      expect(Object.keys(weights)).to.have.members(['vision', 'language', 'action']);
      expect(weights['action']).to.equal(1);
      expect(weights['vision']).to.be.closeTo(0.8333, 5e-5);
      expect(weights['language']).to.be.closeTo(0.6667, 5e-5);
      expect(source).to.match(/^[\w-]+\/[\w-]+: \S+/);
    }
  });
});
