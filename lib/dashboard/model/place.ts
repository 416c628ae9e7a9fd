/** Where on the page somebody is: in the address, so that signing in again, reloading or sending a link keeps it. */

export const VIEWS = ['fleet', 'round', 'privacy', 'efficiency', 'release', 'keys', 'experts'] as const;
export type ViewName = (typeof VIEWS)[number];

export interface Place {
  readonly view: ViewName;
  /** What is looked at in the view: a plan, a rollout, a site. Absent: whatever is newest. */
  readonly subject: string | undefined;
}

export const VIEW_TITLES: Readonly<Record<ViewName, string>> = {
  fleet: 'Fleet',
  round: 'Round',
  privacy: 'Privacy',
  efficiency: 'Efficiency',
  release: 'Release',
  keys: 'Keys',
  experts: 'Experts',
};

/** Names and fingerprints of the server's; nothing else is worth asking it about. */
const SUBJECT = /^[A-Za-z0-9._:-]{1,200}$/;

/** From the part of the address after `#`. Whatever is none is the first view. */
export function placeOf(hash: string): Place {
  const [view, subject] = hash.replace(/^#\/?/, '').split('/');
  const known = VIEWS.find((name) => name === view);
  if (known === undefined) return { view: 'fleet', subject: undefined };
  return { view: known, subject: subject !== undefined && SUBJECT.test(subject) ? subject : undefined };
}

export function hashOf(view: ViewName, subject?: string): string {
  return subject === undefined ? `#/${view}` : `#/${view}/${subject}`;
}

/** What `tensorguard-native dashboard` puts into the address that it prints, instead of a token. */
const LAUNCH = /^#launch=(tgl_[A-Za-z0-9_-]{43})$/;

export function launchKeyOf(hash: string): string | undefined {
  return LAUNCH.exec(hash)?.[1];
}
