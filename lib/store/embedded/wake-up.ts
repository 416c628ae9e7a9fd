/** Lets waits within the process go on at once when something changed. Other processes look at the file. */
import { setMaxListeners } from 'node:events';

export class WakeUp {
  private next = controller();

  /** Taken before looking, so that a change between the look and the wait is not missed. */
  signal(): AbortSignal {
    return this.next.signal;
  }

  notify(): void {
    this.next.abort();
    this.next = controller();
  }
}

/** Every listener to live events waits for it: Node's warning of ten is for leaks. */
function controller(): AbortController {
  const made = new AbortController();
  setMaxListeners(0, made.signal);
  return made;
}
