/** What an update's header says of its training that outlier tests look at. */
import type { SafetyStatistics } from '../../package/messages/update.js';
import type { ReportedStatistics } from '../../round/machine/state.js';

/** @returns undefined where the header says nothing of it */
export function statisticsOf(safety: SafetyStatistics | undefined): ReportedStatistics | undefined {
  const statistics = {
    ...(safety?.gradientNormMean !== undefined && { gradientNormMean: safety.gradientNormMean }),
    ...(safety?.gradientNormMax !== undefined && { gradientNormMax: safety.gradientNormMax }),
  };
  return Object.keys(statistics).length > 0 ? statistics : undefined;
}
