import { expect } from 'chai';
import {
  EnvironmentError,
  FormatError,
  ParameterError,
  RefusedError,
  VerificationError,
} from '../../../lib/errors.js';
import { disclose, isPublicText } from '../../../lib/server/problems/disclosure.js';

describe('what is told of an error', () => {
  const statuses: [Error, number, string][] = [
    [new FormatError('container.bad-magic', 'not a container'), 400, 'container.bad-magic'],
    [new VerificationError('container.bad-signature', 'it does not hold'), 422, 'container.bad-signature'],
    [new ParameterError('plan.too-large', 'it does not fit'), 422, 'plan.too-large'],
    [new RefusedError('roster.older', 'a newer one was accepted'), 409, 'roster.older'],
    [new RefusedError('roster.client-suspended', 'suspended'), 403, 'roster.client-suspended'],
    [new RefusedError('auth.expired', 'expired'), 401, 'auth.expired'],
    [new RefusedError('request.not-found', 'nothing'), 404, 'request.not-found'],
    [new EnvironmentError('storage.full', 'disk full'), 503, 'server.unavailable'],
    [new EnvironmentError('storage.failed', 'I/O error'), 500, 'server.internal'],
    [new VerificationError('audit.bad-entry', 'entry 7'), 500, 'server.internal'],
    [new RefusedError('key.wiped', 'wiped'), 500, 'server.internal'],
    [new RefusedError('constructor', 'no code of ours'), 409, 'constructor'],
    [new TypeError('x is undefined'), 500, 'server.internal'],
  ];
  for (const [error, status, code] of statuses) {
    it(`is ${status} ${code} for ${error.name} ${'code' in error ? error.code : ''}`, () => {
      expect(disclose(error)).to.include({ status, code });
    });
  }

  it('is nothing of the machine: no path, cause, stack or message of an internal error', () => {
    const cause = new Error('EACCES: /srv/tensorguard/keys/signing.key');
    const errors = [
      new FormatError('container.unreadable', '/srv/tensorguard/tmp/upload.tgu cannot be read', { cause }),
      new RefusedError('roster.other-owner', 'the file "/srv/tensorguard/rosters/7.tgo" is signed by'),
      new RefusedError('x.y', 'see ./keys/signing.key'),
      new RefusedError('x.y', 'see ../secret'),
      new RefusedError('x.y', 'at C:\\keys\\signing.key'),
      new RefusedError('x.y', 'file:///srv/key'),
      new RefusedError('x.y', 'path=/srv/key'),
      new RefusedError('x.y', 'one\ntwo'),
      new RefusedError('x.y', 'x'.repeat(5000)),
      new EnvironmentError('storage.failed', 'disk I/O error in /srv/tensorguard/state.sqlite', { cause }),
      new Error('secret thing'),
      'a string',
      undefined,
    ];
    for (const error of errors) {
      const told = JSON.stringify(disclose(error));
      expect(told).not.to.match(/srv|keys|EACCES|secret|signing|two|xxx|a string/);
    }
  });

  it('is the message where nothing in it is private', () => {
    for (const text of [
      'The roster has version 3; version 4 was accepted before.',
      'Use PUT /v1/roster, described at /docs.',
      'and/or 1/2 of it: 3.5 e.g. a.b',
    ]) {
      expect(isPublicText(text), text).to.equal(true);
    }
  });
});
