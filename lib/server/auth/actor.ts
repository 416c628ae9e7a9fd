/** Who makes a request: a machine that the roster lists, or a person with a token. */
export const MACHINE_ROLES = ['client', 'gateway', 'custodian', 'owner'] as const;
export const PERSON_ROLES = ['operator', 'viewer'] as const;
export const ROLES = [...MACHINE_ROLES, ...PERSON_ROLES] as const;

export type MachineRole = (typeof MACHINE_ROLES)[number];
export type PersonRole = (typeof PERSON_ROLES)[number];
export type Role = (typeof ROLES)[number];

export interface Machine {
  readonly kind: 'machine';
  /** The coordinator signs in the owner's name: its role is `owner`, its id `coordinator`. */
  readonly role: MachineRole;
  /** The id that the roster gives it. */
  readonly id: string;
  /** 64 hexadecimal digits. */
  readonly keyId: string;
}

export interface Person {
  readonly kind: 'person';
  readonly role: PersonRole;
  /** The token's id, which is no secret. */
  readonly id: string;
  /** What the token was named when it was made. */
  readonly name: string;
}

export type Actor = Machine | Person;
