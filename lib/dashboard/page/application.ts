/** What the whole page shares: who is signed in, what was read of the server, and whether it is live. */
import { readAllClients } from '../model/all-clients.js';
import { changedBy } from '../model/changes.js';
import { type FeedState, LiveFeed } from '../model/live-feed.js';
import { CLIENTS_PATH } from '../model/paths.js';
import { Resources } from '../model/resources.js';
import { type RequestFailure, ServerApi } from '../model/server-api.js';
import { Session } from './session.js';

export interface SignIn {
  /** Nobody is signed in: the page asks for a token. */
  readonly isNeeded: boolean;
  /** Why the token that there was is none any more. */
  readonly failure: RequestFailure | undefined;
}

/** Where events do not come through, such as behind a proxy that holds streams back. */
const POLL_MS = 30_000;

export class Application {
  readonly api: ServerApi;
  readonly resources: Resources;
  signIn: SignIn;
  feedState: FeedState = { name: 'off' };
  readonly #session = Session.begin();
  readonly #feed: LiveFeed;
  readonly #listeners = new Set<() => void>();

  constructor() {
    this.api = new ServerApi({
      token: () => this.#session.token,
      onRefused: (token, failure) => this.#refused(token, failure),
    });
    this.resources = new Resources({
      load: (path) => (path === CLIENTS_PATH ? readAllClients(this.api) : this.api.get(path)),
    });
    this.#feed = new LiveFeed({
      open: (lastEventId, signal) => this.api.events(lastEventId, signal),
      onEvent: (event) => {
        const isChanged = changedBy(event);
        if (isChanged !== undefined) this.resources.invalidate(isChanged);
      },
      onState: (state) => {
        this.feedState = state;
        if (state.name === 'live') this.resources.invalidate(() => true);
        this.#publish();
      },
    });
    this.signIn = { isNeeded: this.#session.token === undefined, failure: undefined };
    if (!this.signIn.isNeeded) this.#feed.start();
    setInterval(() => {
      if (!this.signIn.isNeeded) this.resources.invalidate(() => true);
    }, POLL_MS);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** With a token that somebody entered; whether it is one turns out with the first answer. */
  enter(token: string): void {
    this.#session.keep(token);
    this.signIn = { isNeeded: false, failure: undefined };
    this.resources.invalidate(() => true);
    this.#feed.start();
    this.#publish();
  }

  leave(): void {
    this.#session.forget();
    this.#feed.stop();
    this.signIn = { isNeeded: true, failure: undefined };
    this.resources.clear();
    this.#publish();
  }

  /** The view stays as it is behind the question for another token. */
  #refused(token: string | undefined, failure: RequestFailure): void {
    // Of a request that was under way when another token was entered.
    if (token !== this.#session.token) return;
    this.#session.forget();
    this.#feed.stop();
    this.signIn = { isNeeded: true, failure };
    this.#publish();
  }

  #publish(): void {
    for (const listener of this.#listeners) listener();
  }
}
