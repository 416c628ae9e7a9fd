import type { Command } from 'commander';
import { VerificationError } from '../../errors.js';
import { keyIdOf, type PublicKeys } from '../../package/keys.js';
import type { RosterBody } from '../../package/messages/roster.js';
import { type AnyContainer, openAnyContainer, openContainer } from '../../package/reader.js';
import { verifySignatures } from '../../package/signatures.js';
import { formatBytes, jsonText, type Output } from '../output.js';

interface InspectCommandOptions {
  readonly roster?: string;
}

function rosterKeys(roster: RosterBody): { readonly who: string; readonly keys: PublicKeys }[] {
  return [
    { who: 'the owner', keys: roster.owner.keys },
    { who: 'the coordinator', keys: roster.coordinator.keys },
    ...roster.aggregators.map(({ id, keys }) => ({ who: `aggregator "${id}"`, keys })),
    ...(roster.gateways ?? []).map(({ id, keys }) => ({ who: `gateway "${id}"`, keys })),
    ...roster.clients.map(({ id, keys }) => ({ who: `client "${id}"`, keys })),
    ...roster.custodians.map(({ id, keys }) => ({ who: `custodian "${id}"`, keys })),
  ];
}

/** Whose signature it is, by the roster; a roster itself is held against the owner that it names. */
async function signerOf(
  container: AnyContainer,
  rosterPath: string | undefined,
): Promise<string | undefined> {
  let roster: RosterBody | undefined;
  if (rosterPath !== undefined) {
    const file = await openContainer(rosterPath, 'roster');
    roster = file.body;
    await file.verify(roster.owner.keys, roster.signatureAlgorithms);
    await file.close();
  } else if (container.kind === 'roster') {
    roster = container.body;
  }
  if (roster === undefined) return undefined;
  const signer = rosterKeys(roster).find(
    ({ keys }) => Buffer.compare(keyIdOf(keys), container.header.signer) === 0,
  );
  if (signer === undefined) {
    throw new VerificationError(
      'inspect.unknown-signer',
      'The file is signed by a key that the roster does not list.',
    );
  }
  const { kind, headerBytes, header, signatures } = container;
  await verifySignatures(
    { kind, headerBytes, algs: header.algs, signer: header.signer },
    signatures,
    signer.keys,
    roster.signatureAlgorithms,
  );
  return signer.who;
}

export function inspectCommand(command: Command, output: () => Output): Command {
  return command
    .description('show what a file says, and check its digests (and signatures, given a roster)')
    .argument('<file>', 'any .tgo, .tge, .tgp, .tgu, .tgg, .tga, .tgs, .tgc, .tgr or .tgv file')
    .option('--roster <file>', 'verify the signatures with the keys of this roster (.tgo)')
    .action(async (path: string, options: InspectCommandOptions) => {
      const container = await openAnyContainer(path);
      try {
        await container.verifySections();
        const signedBy = await signerOf(container, options.roster);
        const { header } = container;
        const sections = header.sections.map(({ name, length }) => ({ name, length }));
        output().result(
          {
            kind: container.kind,
            fingerprint: container.fingerprint,
            version: header.v,
            created: new Date(header.created).toISOString(),
            signer: header.signer,
            algorithms: header.algs,
            signaturesVerified: signedBy !== undefined,
            ...(signedBy !== undefined && { signedBy }),
            sizeBytes: container.sizeBytes,
            sections,
            body: container.body,
          },
          [
            `${container.kind}, ${formatBytes(container.sizeBytes)}, fingerprint ${Buffer.from(container.fingerprint).toString('hex')}`,
            `created ${new Date(header.created).toISOString()}`,
            signedBy === undefined
              ? `signed with ${header.algs.join(', ')}; not verified: pass --roster FILE`
              : `signed with ${header.algs.join(', ')} by ${signedBy}: verified`,
            ...sections.map(({ name, length }) => `section ${name}: ${formatBytes(length)}, digests hold`),
            jsonText(container.body),
          ],
        );
      } finally {
        await container.close();
      }
    });
}
