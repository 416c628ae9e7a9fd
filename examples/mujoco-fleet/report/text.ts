/** All of the results, for people. */
import type { DemoResults } from '../run-demo.js';
import { renderCurves } from './curves.js';
import { renderOperation } from './operation.js';

export function renderResults(results: DemoResults): string {
  return [renderCurves(results), renderOperation(results)].join('\n\n');
}
