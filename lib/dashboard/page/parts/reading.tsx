/** What was read of the server, or why there is nothing to show. */
import type { ComponentChildren } from 'preact';
import type { Snapshot } from '../../model/resources.js';
import { Notice } from './notice.js';

export function Reading<T>(properties: {
  readonly snapshot: Snapshot<T>;
  /** "the clients", for messages. */
  readonly what: string;
  readonly children: (value: T) => ComponentChildren;
}) {
  const { snapshot, what, children } = properties;
  const { value, failure } = snapshot;
  if (value !== undefined) {
    return (
      <>
        {failure !== undefined && !failure.isSignedOut && (
          <p class="stale" role="status">
            {`As it was read last: ${failure.message}`}
          </p>
        )}
        {children(value)}
      </>
    );
  }
  if (failure === undefined) return <p class="loading">Reading {what} …</p>;
  if (failure.isSignedOut) return <p class="loading">Sign in to see {what}.</p>;
  if (failure.status === 404) {
    return (
      <Notice
        title={`The server has nothing about ${what}`}
        advice={`It answered: ${failure.message} If it is an older version than this page, install the newer one.`}
      />
    );
  }
  if (failure.status === 403) {
    return <Notice title={`Your token does not show ${what}`} advice={failure.message} />;
  }
  return <Notice title={`${sentence(what)} could not be read`} advice={failure.message} />;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
