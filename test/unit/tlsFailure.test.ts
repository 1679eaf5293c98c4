import { expect, test } from 'vitest';
import { isTlsFailure } from '../../core/tlsFailure.js';

function failed(message: string, more: { code?: string; cause?: unknown } = {}): Error {
  const { cause, ...rest } = more;
  return Object.assign(new Error(message, cause === undefined ? {} : { cause }), rest);
}

test.each<[string, Error]>([
  ['an unknown authority', failed('x', { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })],
  ['an unknown issuer', failed('x', { code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' })],
  ['its own authority', failed('x', { code: 'SELF_SIGNED_CERT_IN_CHAIN' })],
  ['another name', failed('x', { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })],
  ['out of date', failed('x', { code: 'CERT_HAS_EXPIRED' })],
  ['no TLS there', failed('x', { code: 'EPROTO' })],
  ['a client certificate is wanted', failed('x', { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' })],
  ['a message alone', failed('Connection error: self-signed certificate in certificate chain')],
  ['a cause', failed('Connection is closed.', { cause: failed('x', { code: 'CERT_HAS_EXPIRED' }) })],
])('%s is a failure of TLS', (_, error) => {
  expect(isTlsFailure(error)).toBe(true);
});

test.each<[string, unknown]>([
  [
    'a handshake that was cut',
    failed('Client network socket disconnected before secure TLS connection was established', { code: 'ECONNRESET' }),
  ],
  ['a reset', failed('read ECONNRESET', { code: 'ECONNRESET' })],
  ['nobody there', failed('connect ECONNREFUSED 127.0.0.1:1', { code: 'ECONNREFUSED' })],
  ['no error at all', 'certificate'],
])('%s is none', (_, error) => {
  expect(isTlsFailure(error)).toBe(false);
});
