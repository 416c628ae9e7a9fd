/** Things done with a key store, each as its command does it. */

import { answerFiles } from '../../../../lib/custody/answer-files.js';
import { readShareFile } from '../../../../lib/custody/break-glass/share-files.js';
import { openCustodian } from '../../../../lib/custody/custodian-directory.js';
import { breakGlass } from '../../../../lib/custody/keys/break-glass.js';
import { KeyStore, type NewKeyStore } from '../../../../lib/custody/keys/key-store.js';
import { rotate } from '../../../../lib/custody/keys/rotation.js';
import type { WrapperConfig } from '../../../../lib/custody/wrappers/wrapper-config.js';
import { replaceFile } from '../../../../lib/files.js';
import { bytes32 } from '../../support/bytes.js';

export type KeysAct =
  | { readonly act: 'create'; readonly keys: NewKeyStore }
  | { readonly act: 'rotate' }
  | { readonly act: 'destroy'; readonly key: string }
  | { readonly act: 'rewrap'; readonly wrapper: WrapperConfig }
  | { readonly act: 'break-glass'; readonly key: string; readonly shares: readonly string[] }
  | { readonly act: 'answer'; readonly plan: string; readonly aggregate: string; readonly out: string };

export type KeysChildArgument = KeysAct & { readonly directory: string };

/** Called when what precedes the act is over: opening what is there writes nothing that lasts. */
type Begin = () => void;

/** Answers as `custodian answer` does. */
async function answer(
  directory: string,
  { plan, aggregate, out }: Extract<KeysAct, { act: 'answer' }>,
  begin: Begin,
): Promise<void> {
  const opened = await openCustodian(directory);
  try {
    begin();
    const { answer: bytes } = await answerFiles(opened, { plan, aggregate });
    await replaceFile(out, bytes);
  } finally {
    opened.close();
  }
}

async function withStore(
  directory: string,
  begin: Begin,
  use: (store: KeyStore) => Promise<unknown>,
): Promise<void> {
  const store = await KeyStore.open(directory);
  try {
    begin();
    await use(store);
  } finally {
    store.close();
  }
}

async function useBreakGlass(store: KeyStore, key: string, paths: readonly string[]): Promise<void> {
  const secret = await breakGlass(store, {
    key,
    round: { fleet: 'acme', policy: 'pick', cohort: 'all', round: 7 },
    plan: bytes32('plan'),
    reason: 'a drill',
    shares: await Promise.all(paths.map(readShareFile)),
  });
  secret.wipe();
}

/** Does it, in this process. */
export async function perform(argument: KeysChildArgument, begin: Begin = () => undefined): Promise<void> {
  const { directory } = argument;
  switch (argument.act) {
    case 'create':
      begin();
      return (await KeyStore.create(directory, argument.keys)).close();
    case 'rotate':
      return withStore(directory, begin, rotate);
    case 'destroy':
      return withStore(directory, begin, (store) => store.destroy(argument.key, 'a drill'));
    case 'rewrap':
      return withStore(directory, begin, (store) => store.rewrap(argument.wrapper));
    case 'break-glass':
      return withStore(directory, begin, (store) => useBreakGlass(store, argument.key, argument.shares));
    case 'answer':
      return answer(directory, argument, begin);
  }
}
