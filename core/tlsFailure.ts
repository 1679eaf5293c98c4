/**
 * Whether a connection failed because the two sides do not agree on TLS: a certificate that is not trusted, or no TLS at
 * all on one of them. That mends itself by no retry; a handshake that the network cut does, and is not one of these.
 */

/** What Node says of a certificate (`tls.TLSSocket.authorizationError`) and of a handshake that failed. */
const codes =
  /^(?:CERT_|CRL_|ERR_TLS_|ERR_SSL_|EPROTO$|HOSTNAME_MISMATCH$|DEPTH_ZERO_SELF_SIGNED_CERT$|SELF_SIGNED_CERT_IN_CHAIN$|UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY_LEAF_SIGNATURE|DECRYPT_))/;
/** For clients that pass on the message alone. */
const texts = /self.signed|certificate|altnames|\bSSL routines\b|wrong version number/i;
const cut = /before secure TLS connection was established|ECONNRESET/;

export function isTlsFailure(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 5) return false;
  if (cut.test(error.message)) return false;
  if ('code' in error && typeof error.code === 'string' && codes.test(error.code)) return true;
  return texts.test(error.message) || isTlsFailure(error.cause, depth + 1);
}
