/** Whether what is on the page is what the server has now. */
import { formatDuration } from '../model/format.js';
import type { FeedState } from '../model/live-feed.js';
import { useApplication, useNow } from './hooks.js';
import { Pill } from './parts/pill.js';

export function Connection() {
  const { feedState } = useApplication();
  return (
    <div class="connection" role="status" data-feed={feedState.name}>
      <FeedPill state={feedState} />
    </div>
  );
}

function FeedPill({ state }: { readonly state: FeedState }) {
  switch (state.name) {
    case 'live':
      return <Pill tone="good">Live</Pill>;
    case 'connecting':
      return <Pill tone="neutral">Connecting</Pill>;
    case 'waiting':
      return (
        <Pill tone="warning" title={state.reason}>
          Reconnecting <Countdown untilMs={state.untilMs} />
        </Pill>
      );
    case 'off':
      return <Pill tone="neutral">Not connected</Pill>;
  }
}

/** Not read aloud every second. */
function Countdown({ untilMs }: { readonly untilMs: number }) {
  const now = useNow();
  return (
    <span aria-hidden="true">in {formatDuration(Math.ceil(Math.max(0, untilMs - now) / 1000) * 1000)}</span>
  );
}
