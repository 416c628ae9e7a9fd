/** What a soak had shown: an update that is refused before its end must not block the connection that it came on. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { type PlannedRound, type Robot, SoakFleet, soakPolicy } from '../../bench/soak/fleet.js';
import { DAMAGES, damaged, type SealedUpdate, sealUpdates } from '../../bench/soak/sealed-updates.js';
import { signRequest } from '../../lib/agents/http/request-signer.js';
import { roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { Service } from '../../lib/server/service.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** A chunk of a mebibyte, and as much behind it as sockets and streams do not hold by themselves. */
const VALUES = 1_500_000;

const EXPECTED: Readonly<Record<(typeof DAMAGES)[number], string>> = {
  'byte-of-ciphertext': 'container.digest-mismatch',
  'byte-of-header': 'container.invalid-body',
  'too-short': 'upload.wrong-length',
  'too-long': 'upload.wrong-length',
};

describe('an update that is refused before its end', function () {
  this.timeout(60_000);

  let service: Service;
  let plan: PlannedRound;
  let updates: SealedUpdate[];

  before(async () => {
    const fleet = await SoakFleet.create(await temporaryDirectory(), DAMAGES.length, VALUES);
    service = await Service.start({
      store: { kind: 'embedded', directory: fleet.at('store') },
      aggregator: fleet.role('aggregator'),
      policy: soakPolicy(),
      ...{ host: '127.0.0.1', port: 0, version: '0.0.0', log: { level: 'silent' } },
    });
    plan = await fleet.plan(1, Date.now() + 600_000);
    const coordinator = await fleet.api('coordinator', service.address);
    const path = `/v1/rounds/${plan.name}/plan`;
    await coordinator.putBytes(path, plan.bytes, 'named-by-path', roundStatusSchema);
    updates = await sealUpdates(fleet.at('updates'), plan, fleet.robots, 'refused');
  });
  after(() => service?.stop(500));

  async function headOf(robot: Robot, fingerprint: string, length: number): Promise<string> {
    const target = `/v1/rounds/${plan.name}/updates/${fingerprint}`;
    const authority = new URL(service.address).host;
    const signed = await signRequest(robot.signing, { method: 'PUT', target, authority }, Date.now());
    const headers = {
      host: authority,
      'content-type': 'application/octet-stream',
      'content-length': String(length),
      ...signed,
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    return `PUT ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
  }

  for (const [number, damage] of DAMAGES.entries()) {
    it(`(${damage}) is answered with its reason, and the next request of the connection is answered too`, async () => {
      const { robot, fingerprint } = updates[number] as SealedUpdate;
      const body = await damaged(updates[number] as SealedUpdate, damage);
      const { port, host } = new URL(service.address);
      const socket = connect(Number(port), '127.0.0.1');
      let text = '';
      socket.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      socket.write(await headOf(robot, fingerprint, body.length));
      socket.write(body);
      socket.write(`GET /healthz HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
      await once(socket, 'close');
      const statuses = text.match(/HTTP\/1\.1 \d{3}/g);
      expect(text).to.include(`"code":"${EXPECTED[damage]}"`);
      expect(statuses, text).to.have.length(2);
      expect(statuses?.[1]).to.equal('HTTP/1.1 200');
    });
  }
});
