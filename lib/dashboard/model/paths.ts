/** Paths that several views read. */
export const CLIENTS_PATH = '/v1/clients';
export const CUSTODY_PATH = '/v1/custody';
