/** The token that the person has entered: for this tab, until it is closed. */
import { launchKeyOf } from '../model/place.js';

const KEY = 'tensorguard.token';

export class Session {
  #token: string | undefined;

  private constructor(token: string | undefined) {
    this.#token = token;
  }

  /** Takes what `tensorguard-native dashboard` put into the address, and takes it out of there. */
  static begin(): Session {
    const launched = launchKeyOf(location.hash);
    const session = new Session(sessionStorage.getItem(KEY) ?? undefined);
    if (launched !== undefined) {
      history.replaceState(null, '', '#/fleet');
      session.keep(launched);
    }
    return session;
  }

  get token(): string | undefined {
    return this.#token;
  }

  keep(token: string): void {
    this.#token = token;
    sessionStorage.setItem(KEY, token);
  }

  forget(): void {
    this.#token = undefined;
    sessionStorage.removeItem(KEY);
  }
}
