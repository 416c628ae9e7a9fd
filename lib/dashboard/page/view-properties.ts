/** What every view is given. */
export interface ViewProperties {
  /** What is looked at, by the address; absent: whatever is newest. */
  readonly subject: string | undefined;
}
