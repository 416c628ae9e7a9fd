import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { pino } from 'pino';
import { KEY_STORE_FILE } from '../../custody/keys/key-vault.js';
import { ROSTER_FILE } from '../../custody/role-directory.js';
import { openPage } from '../../dashboard/page-files.js';
import { LOG_LEVELS, type LogLevel, logLevelIn } from '../../policy/environment.js';
import { readRolePolicy } from '../../round/role-policy.js';
import { DEFAULT_RELEASE_MODE, RELEASE_MODES, type ReleaseMode } from '../../server/releases/offers.js';
import { DEFAULT_RETENTION } from '../../server/rounds/retention.js';
import { Service } from '../../server/service.js';
import { type MissingPart, startUnconfigured } from '../../server/unconfigured.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';
import { addDataOptions, type ServerDataOptions, storeOptionsOf } from '../server-options.js';
import { tryServer } from '../server-try.js';
import { stopOnSignals } from '../stop-on-signals.js';
import { packageVersion } from '../version.js';

interface ServerOptions extends ServerDataOptions {
  readonly port: number;
  readonly host: string;
  readonly aggregator?: string;
  readonly publicAuthority?: string;
  readonly tlsKey?: string;
  readonly tlsCert?: string;
  readonly trustProxy?: string[];
  readonly secondUpdate: 'replace' | 'refuse';
  readonly answerHours?: number;
  readonly keepRounds: number;
  readonly keepUnusedHours: number;
  readonly records?: string;
  readonly releases: ReleaseMode;
  readonly logLevel?: LogLevel;
  readonly try: boolean;
  readonly once: boolean;
}

const HOUR_MS = 3_600_000;

/** What makes no sense of a fleet that is made anew and thrown away. */
const NOT_WITH_TRY = [
  'host',
  'data',
  'nats',
  'aggregator',
  'publicAuthority',
  'trustProxy',
  'tlsKey',
  'tlsCert',
  'records',
];

const TRY_ADVICE = 'To see one round first, without any of this: tensorguard-native server --try.';

/** What a round needs and is not there, with what to do about it. */
function missingParts(aggregator: string): MissingPart[] {
  if (!existsSync(join(aggregator, KEY_STORE_FILE))) {
    const advice =
      `There is no aggregator in ${aggregator}. Make its keys with: tensorguard-native aggregator init ${aggregator} --id cloud --fleet NAME; ` +
      `then have the owner enrol it (fleet enroll), and bring the roster here (fleet join). ${TRY_ADVICE}`;
    const publicAdvice =
      'The server has no keys yet. Its log says how to make them (aggregator init, fleet enroll, fleet join).';
    return [{ advice, publicAdvice }];
  }
  if (!existsSync(join(aggregator, ROSTER_FILE))) {
    const advice = `The aggregator in ${aggregator} has no roster. Have the owner enrol it (fleet enroll), then: tensorguard-native fleet join ${aggregator} --roster FILE.`;
    const publicAdvice =
      'The server has keys and no roster. The owner has to enrol it (fleet enroll), and the roster to be brought here (fleet join).';
    return [{ advice, publicAdvice }];
  }
  return [];
}

export function serverCommand(command: Command, output: () => Output): Command {
  return addDataOptions(command)
    .description('run rounds for a fleet over HTTP; it never holds a key that decrypts')
    .option('--port <n>', 'port to listen on', integerOption(0, 65_535), 8080)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--aggregator <dir>', "the aggregator's directory (default: aggregator/ below --data)")
    .option('--public-authority <host>', 'host[:port] that machines address, behind a proxy')
    .option('--trust-proxy <addresses...>', 'proxies whose X-Forwarded-For counts')
    .option('--tls-key <file>', 'private key, for TLS')
    .option('--tls-cert <file>', 'certificate chain, for TLS')
    .addOption(
      new Option('--second-update <what>', "what becomes of a client's second update of a round")
        .choices(['replace', 'refuse'])
        .default('replace'),
    )
    .addOption(
      new Option(
        '--releases <how>',
        'who is served a newer release: whom its rollout offers it, or the whole fleet at once, unmeasured',
      )
        .choices([...RELEASE_MODES])
        .default(DEFAULT_RELEASE_MODE),
    )
    .option('--answer-hours <h>', 'how long custodians have to answer', integerOption(1, 8760))
    .option(
      '--keep-rounds <n>',
      'how many closed rounds keep their updates and sums; a round without a close record always does',
      integerOption(0, 100_000),
      DEFAULT_RETENTION.closedRounds,
    )
    .option(
      '--keep-unused-hours <h>',
      'how long bytes stay that no round refers to: longer than an upload takes',
      integerOption(1, 8760),
      DEFAULT_RETENTION.graceMs / HOUR_MS,
    )
    .option('--records <dir>', 'write records (rounds, latencies, budgets, alerts) there, as JSONL')
    .addOption(
      new Option('--try', 'make a throw-away fleet on this machine and run one round of it')
        .default(false)
        .conflicts(NOT_WITH_TRY),
    )
    .option('--once', 'with --try: end after the round, as --json does', false)
    .addOption(new Option('--log-level <level>', 'how much is logged').choices([...LOG_LEVELS]))
    .action(async (options: ServerOptions) => {
      const aggregator = options.aggregator ?? join(options.data, 'aggregator');
      // Standard output has the command's result.
      const log = { level: options.logLevel ?? logLevelIn(process.env), destination: pino.destination(2) };
      const { host, port } = options;
      const out = output();
      if (options.try) {
        const level = options.logLevel ?? 'error';
        const once = options.once || command.optsWithGlobals<{ json?: boolean }>().json === true;
        return tryServer({ port, once, log: { ...log, level } }, out);
      }
      const page = await openPage();
      const missing = missingParts(aggregator);
      if (missing.length > 0) {
        const unconfigured = await startUnconfigured({
          ...{ host, port, missing, page, log, version: packageVersion() },
        });
        const advice = missing.map((part) => part.advice);
        for (const line of advice) out.warn(line);
        out.result({ address: unconfigured.address, ready: false, missing: advice }, [
          `Listening on ${unconfigured.address}; no round can be run yet.`,
        ]);
        return stopOnSignals(() => unconfigured.stop());
      }
      const { policy } = await readRolePolicy(aggregator);
      const service = await Service.start({
        store: await storeOptionsOf(options),
        aggregator,
        policy,
        page,
        releases: options.releases,
        host,
        port,
        version: packageVersion(),
        log,
        retention: { closedRounds: options.keepRounds, graceMs: options.keepUnusedHours * HOUR_MS },
        rounds: {
          secondUpdate: options.secondUpdate,
          ...(options.answerHours !== undefined && { answerWindowMs: options.answerHours * HOUR_MS }),
        },
        recordsDirectory: options.records,
        environment: process.env,
        ...(options.publicAuthority !== undefined && { publicAuthority: options.publicAuthority }),
        ...(options.trustProxy !== undefined && { trustProxy: options.trustProxy }),
        ...(options.tlsKey !== undefined &&
          options.tlsCert !== undefined && {
            tls: { keyPath: options.tlsKey, certificatePath: options.tlsCert },
          }),
      });
      const { fleet, version } = service.context.fleet.roster.body;
      out.result({ address: service.address, ready: true, fleet, rosterVersion: version }, [
        `Fleet "${fleet}" is served on ${service.address} (roster version ${version}).`,
        `Its dashboard is there too, for who has a token: tensorguard-native server token create`,
      ]);
      return stopOnSignals(() => service.stop());
    });
}
