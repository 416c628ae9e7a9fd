/** Which of what was read of the server an event makes out of date. */
import type { ServerEvent } from './event-stream.js';

export type PathTest = (path: string) => boolean;

/** @returns undefined for an event that the page does not know: a newer server may send it */
export function changedBy(event: ServerEvent): PathTest | undefined {
  switch (event.type) {
    case 'round': {
      const plan = textIn(event.data, 'plan');
      return (path) => path === '/v1/rounds' || path === `/v1/rounds/${plan}` || path === '/v1/releases';
    }
    case 'rollout':
      return (path) =>
        ['/v1/rollouts', '/v1/verdicts', '/v1/clients', '/v1/releases'].some((prefix) =>
          path.startsWith(prefix),
        );
    case 'record': {
      const kind = textIn(event.data, 'kind');
      return (path) =>
        path.startsWith(`/v1/records?kind=${kind}&`) ||
        (kind === 'custody' && path === '/v1/custody') ||
        (REPORTED.includes(kind ?? '') && path === '/v1/clients');
    }
    default:
      return undefined;
  }
}

/** Records that are made of what clients report. */
const REPORTED = ['privacy', 'quality', 'latency'];

function textIn(data: string, field: string): string | undefined {
  try {
    const value: unknown = JSON.parse(data);
    const found = typeof value === 'object' && value !== null ? Reflect.get(value, field) : undefined;
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}
