/**
 * Mocha's spec report, closed by one line that a machine reads: `12 passed, 0 failed, 1 skipped`. Where mocha runs as one
 * of several processes, the parent prints that line for all of them.
 */
import Mocha from 'mocha';
import { closingLine } from './closing-line.mjs';

export default class ClosingLineReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = runner.stats;
      if (process.connected) process.send({ passes, failures, pending });
      else console.log(closingLine({ passes, failures, pending }));
    });
  }
}
