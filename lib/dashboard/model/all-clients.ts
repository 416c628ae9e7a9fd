/** The whole list of clients, which the server gives in pages. */
import { CLIENTS_PATH } from './paths.js';
import type { ClientList } from './reported.js';
import type { ServerApi } from './server-api.js';

/** As a fleet has members at most (lib/package/messages/common.ts); a server that goes on is not believed. */
const MAX_PAGES = 66;

/** @throws RequestFailure */
export async function readAllClients(api: Pick<ServerApi, 'get'>): Promise<ClientList> {
  let page = await api.get<ClientList>(CLIENTS_PATH);
  const { enrolled } = page;
  const clients = [...page.clients];
  for (let pages = 1; page.next !== undefined && pages < MAX_PAGES; pages += 1) {
    page = await api.get<ClientList>(`${CLIENTS_PATH}?after=${encodeURIComponent(page.next)}`);
    clients.push(...page.clients);
  }
  return { clients, enrolled };
}
