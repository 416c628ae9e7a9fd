import type { Command } from 'commander';
import { LoopbackServer } from '../../dashboard/loopback/loopback-server.js';
import { parseServer } from '../../dashboard/loopback/upstream.js';
import { readPage } from '../../dashboard/page-files.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';
import { stopOnSignals } from '../stop-on-signals.js';
import { readTokenFile } from '../token-file.js';

interface DashboardOptions {
  readonly server: string;
  readonly port: number;
  readonly tokenFile?: string;
}

export function dashboardCommand(command: Command, output: () => Output): Command {
  return command
    .description('the page for operators, on this machine, about a server elsewhere')
    .requiredOption('--server <url>', 'the service, such as https://fleet.example.com')
    .option('--port <n>', 'port to listen on, on loopback; 0 for a free one', integerOption(0, 65_535), 8081)
    .option('--token-file <file>', 'a token, mode 0600; absent: the page asks for one')
    .action(async (options: DashboardOptions) => {
      const { tokenFile, port } = options;
      const server = parseServer(options.server);
      const page = await readPage();
      // What is wrong with it is better known now than in the browser.
      if (tokenFile !== undefined) await readTokenFile(tokenFile);
      const token = tokenFile === undefined ? undefined : () => readTokenFile(tokenFile);
      const loopback = await LoopbackServer.start({ page, server, port, token });
      output().result({ address: loopback.launchAddress, server: server.origin }, [
        `The dashboard of ${server.origin}: ${loopback.launchAddress}`,
        ...(token === undefined
          ? []
          : ['Whoever has this address acts with the token: keep it to yourself.']),
      ]);
      await stopOnSignals(() => loopback.stop());
    });
}
