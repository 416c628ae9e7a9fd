/**
 * What an archive holds of a role's directory.
 *
 * A custodian's KEM keys are in none, nor the officers' copies of them: the machine that imports could otherwise answer for a
 * round that this one answers for too. A client's `client-state.sqlite` is in none either, since an earlier one has forgotten
 * what was sealed; what a restored client must know of it goes along as its memory. What error feedback left over
 * (`residual/`) belongs to that state and stays behind with it.
 */
import type { Role } from '../../custody/keys/key-rows.js';
import { KEY_STORE_FILE } from '../../custody/keys/key-vault.js';
import { LEDGER_FILE, ROSTER_FILE } from '../../custody/role-directory.js';
import { ENROLMENT_FILE } from '../enrolment/requests.js';
import { PRIVACY_LEDGER_FILE } from '../round-privacy.js';

export const DESCRIPTION_FILE = 'archive.cbor';
export const CLIENT_MEMORY_FILE = 'client-memory.cbor';
export const KEYS_FOLDER = 'keys';
export const ROSTER_PIN_FILE = 'roster-pin.sqlite';
export const RELEASE_STATE_FILE = 'releases.sqlite';

const KEY_FILE = /^keys\/[A-Za-z0-9][A-Za-z0-9.-]*\.key$/;

export interface ExportedState {
  /** SQLite files, in the order in which they are copied. */
  readonly databases: readonly string[];
  /** Files that are replaced whole. */
  readonly files: readonly string[];
  /** Folders of files that are written once. */
  readonly records: readonly string[];
  /** Folders of files that may be replaced. */
  readonly folders: readonly string[];
}

const EVERYWHERE: ExportedState = {
  databases: [KEY_STORE_FILE, ROSTER_PIN_FILE],
  files: [ROSTER_FILE, ENROLMENT_FILE, 'wrapper.json', 'policy.yaml', 'policy.yml', 'policy.json'],
  records: ['rosters'],
  folders: [],
};

const OF_ROLES: Readonly<Record<Role, Partial<ExportedState>>> = {
  owner: { records: ['rounds', 'releases'], folders: ['enrolments'] },
  client: { databases: [PRIVACY_LEDGER_FILE, RELEASE_STATE_FILE] },
  // Last: what the trail records as answered is in the ledger then.
  custodian: { databases: [LEDGER_FILE] },
  gateway: {},
  aggregator: {},
  coordinator: {},
};

export function exportedState(role: Role): ExportedState {
  const own = OF_ROLES[role];
  return {
    databases: [...EVERYWHERE.databases, ...(own.databases ?? [])],
    files: EVERYWHERE.files,
    records: [...EVERYWHERE.records, ...(own.records ?? [])],
    folders: own.folders ?? [],
  };
}

/** Whether an archive of any role may hold this path. */
export function isExportedPath(path: string): boolean {
  if (path === DESCRIPTION_FILE || path === CLIENT_MEMORY_FILE || KEY_FILE.test(path)) return true;
  return (Object.keys(OF_ROLES) as Role[]).some((role) => isStateOf(role, path));
}

/** Whether this path belongs to the state of a role, its keys apart. */
export function isStateOf(role: Role, path: string): boolean {
  const { databases, files, records, folders } = exportedState(role);
  const [folder, name, deeper] = path.split('/');
  if (name === undefined) return databases.includes(path) || files.includes(path);
  return deeper === undefined && [...records, ...folders].includes(folder as string);
}

/** Names in a role's directory that an import makes anew, whether they were exported or not. */
export function isRoleState(role: Role, name: string): boolean {
  const { databases, files, records, folders } = exportedState(role);
  const base = name.replace(/-(wal|shm)$/, '');
  return [...databases, ...files, ...records, ...folders, KEYS_FOLDER, ...notExported(role)].includes(base);
}

/** Names in a role's directory that hold what it did, or its keys: an import must not go back behind them. */
export function isRoleHistory(role: Role, name: string): boolean {
  return isRoleState(role, name) && !exportedState(role).files.includes(name);
}

function notExported(role: Role): readonly string[] {
  return role === 'client' ? ['client-state.sqlite', 'sealed', 'residual', 'releases'] : [];
}
