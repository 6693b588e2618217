/** ListenAddress is where a server listens. An IPv6 host stands in brackets, as in URLs; port 0 is any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** listenOptions are the options of node:net for an address: its hosts have no brackets. */
export function listenOptions({ host, port }: ListenAddress): { host: string; port: number } {
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port };
}

export function addressText({ host, port }: ListenAddress): string {
  return `${host}:${port}`;
}
