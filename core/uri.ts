/** URIs of servers: taken apart, put together, and made safe to show. A mistake never quotes a URI: it may hold a password. */

export interface UriParts {
  readonly scheme: string;
  /** Percent-decoded; null where the URI gives none. */
  readonly user: string | null;
  readonly password: string | null;
  /** Everything between `@` and the path: one `host:port`, or several for MongoDB. */
  readonly hosts: string;
  /** Percent-decoded, without the leading slash; empty when there is none. */
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
}

/** Undefined for a text that is no `scheme://…`, or whose percent-encoding is broken. */
export function splitUri(uri: string): UriParts | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(uri.trim());
  if (match === null) return undefined;
  const [, scheme = '', login, hosts = '', path = '', query = ''] = match;
  const colon = login?.indexOf(':') ?? -1;
  try {
    return {
      scheme: scheme.toLowerCase(),
      user: login === undefined ? null : decodeURIComponent(colon < 0 ? login : login.slice(0, colon)),
      password: login === undefined || colon < 0 ? null : decodeURIComponent(login.slice(colon + 1)),
      hosts,
      path: decodeURIComponent(path),
      query: new Map(new URLSearchParams(query)),
    };
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

export function joinUri(parts: UriParts): string {
  const password = parts.password === null ? '' : `:${encodeURIComponent(parts.password)}`;
  const login = parts.user === null && password === '' ? '' : `${encodeURIComponent(parts.user ?? '')}${password}@`;
  const path = parts.path === '' ? '' : `/${encodeURIComponent(parts.path)}`;
  const query = new URLSearchParams([...parts.query]).toString();
  // MongoDB wants the slash before its options.
  return `${parts.scheme}://${login}${parts.hosts}${path}${query === '' ? '' : `${path === '' ? '/' : ''}?${query}`}`;
}

const secretOption = /^(?:.*(?:password|secret|token|key).*|authmechanismproperties)$/i;

/** The URI with its password, and every option that may hold one, replaced by `***`. Any text is safe to pass. */
export function redactUri(uri: string): string {
  const parts = splitUri(uri);
  if (parts === undefined) return uri.includes('@') || uri.includes('?') ? '***' : uri;
  // A password with a bare slash looks like host and path.
  if (parts.path.includes('@') || (parts.user === null && !/^[\w.,:[\]-]*$/.test(parts.hosts))) return '***';
  const login = parts.user === null ? '' : `${encodeURIComponent(parts.user)}${parts.password === null ? '' : ':***'}@`;
  const query = [...parts.query].map(([k, v]) => `${k}=${secretOption.test(k) ? '***' : v}`).join('&');
  const path = parts.path === '' ? '' : `/${parts.path}`;
  return `${parts.scheme}://${login}${parts.hosts}${path}${query === '' ? '' : `${path === '' ? '/' : ''}?${query}`}`;
}

/** `host:port` of every server that a URI names; the port by default where it names none. */
export function hostsOf(uri: string, defaultPort: number): string[] {
  const hosts = splitUri(uri)?.hosts ?? '';
  return hosts
    .split(',')
    .map((host) => (/:\d+$/.test(host) ? host : `${host === '' ? 'localhost' : host}:${defaultPort}`));
}
