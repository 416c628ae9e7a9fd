/** The process in which the compared arms run, beside the fleet at work: a simulator keeps one core busy. */
import { processorSeconds } from '../processor-time.js';
import { type ComparedArms, type ComparedArmsRequest, runComparedArms } from './compared-arms.js';

export type ArmsMessage =
  | { readonly type: 'progress'; readonly line: string }
  | { readonly type: 'done'; readonly runs: ComparedArms; readonly processorSeconds: number };

function tell(message: ArmsMessage, told: () => void = () => undefined): void {
  process.send?.(message, told);
}

// Who is left without a parent has nobody to work for.
process.once('disconnect', () => process.exit(1));
process.once('message', (request: ComparedArmsRequest) => {
  const progress = (line: string): void => tell({ type: 'progress', line });
  // A rejection ends the process with its trace, which the parent finds on stderr.
  void runComparedArms(request, progress).then((runs) =>
    tell({ type: 'done', runs, processorSeconds: processorSeconds() }, () => process.exit(0)),
  );
});
