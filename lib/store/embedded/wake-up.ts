/** Lets waits within the process go on at once when something changed. Other processes look at the file. */
export class WakeUp {
  private next = new AbortController();

  /** Taken before looking, so that a change between the look and the wait is not missed. */
  signal(): AbortSignal {
    return this.next.signal;
  }

  notify(): void {
    this.next.abort();
    this.next = new AbortController();
  }
}
