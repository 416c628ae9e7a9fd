/** Safety thresholds: what a candidate has to reach in evaluation before a robot runs it, and what an update may stand out by. */
import { z } from 'zod';
import { choiceSetting, integerSetting, numberSetting } from '../setting-schemas.js';

export const OUTLIER_ACTIONS = ['ignore', 'flag', 'refuse'] as const;
export type OutlierAction = (typeof OUTLIER_ACTIONS)[number];

export const safetySchema = z.strictObject({
  minSuccessRate: numberSetting(0, 1, 'share of episodes that succeed, at least'),
  maxConstraintViolations: integerSetting(0, 1_000_000, 'constraint violations in 100 episodes, at most'),
  maxKlDivergence: numberSetting(0, 1000, 'KL divergence from the released policy, in nats, at most'),
  maxRegression: numberSetting(0, 1, 'loss of success rate against the released policy, at most'),
  minOodRobustness: numberSetting(0, 1, 'robustness outside the training distribution, at least'),
  confidence: numberSetting(
    0.8,
    0.999,
    'confidence with which a bound has to be met, or violated, to decide',
  ),
  maxEpisodes: integerSetting(1, 1_000_000, 'episodes of each adapter, at most, before a human decides'),
  reportedOutliers: choiceSetting(
    OUTLIER_ACTIONS,
    'what the aggregator does about updates that report far larger gradient norms than the others of their round',
  ),
});

export type SafetyThresholds = z.infer<typeof safetySchema>;
