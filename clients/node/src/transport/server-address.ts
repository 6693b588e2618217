import { BlockList, isIP } from 'node:net';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * isLoopback tells whether a server's address, in any form that gRPC takes, certainly stays on this machine: a Unix
 * socket, `localhost`, or loopback addresses alone. What it does not know is not: a name that only begins like one,
 * an address in an unusual spelling, a name server of one's own (`dns://10.0.0.1/localhost`).
 */
export function isLoopback(server: string): boolean {
  if (server.startsWith('unix:')) return true;
  const list = /^ipv[46]:(.*)$/s.exec(server)?.[1];
  if (list !== undefined) return list.split(',').every((address) => isLoopbackIp(hostOf(address)));
  const host = hostOf(server.replace(/^dns:(\/\/\/)?/, ''));
  return host.toLowerCase() === 'localhost' || isLoopbackIp(host);
}

/** hasPort tells whether an address names a port; without one gRPC takes 443, where no Keyward is. */
export function hasPort(server: string): boolean {
  return server.startsWith('unix') || (/:\d+$/.test(server) && isIP(server) !== 6);
}

/** hostOf leaves the port and the brackets of an IPv6 address out. */
function hostOf(address: string): string {
  if (isIP(address) === 6) return address;
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/s, '$1');
}

function isLoopbackIp(host: string): boolean {
  const family = isIP(host);
  return family !== 0 && LOOPBACK.check(host, family === 4 ? 'ipv4' : 'ipv6');
}
