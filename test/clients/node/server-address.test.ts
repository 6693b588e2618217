import { expect, test } from 'vitest';
import { isLoopback } from '../../../clients/node/src/transport/server-address.js';

test.each([
  '127.0.0.1:50051',
  '127.0.0.1',
  '127.255.1.2:1',
  'localhost:50051',
  'LocalHost',
  '[::1]:50051',
  '::1',
  '[0:0:0:0:0:0:0:1]:1',
  '[::ffff:127.0.0.1]:1',
  'dns:localhost:1',
  'dns:///127.0.0.1:1',
  'ipv4:127.0.0.1:1',
  'ipv4:127.0.0.1:1,127.0.0.2:2',
  'ipv6:[::1]:1',
  'unix:/run/keyward.sock',
  'unix:///run/keyward.sock',
])('%s stays on this machine', (server) => {
  expect(isLoopback(server)).toBe(true);
});

test.each([
  'keyward.example.com:50051',
  '10.0.0.1:50051',
  '0.0.0.0:50051',
  '[::]:50051',
  '127.0.0.1.evil.com:50051',
  'localhost.evil.com:50051',
  'evil.com/localhost:50051',
  'evil.com#localhost',
  'localhost@evil.com:50051',
  'localhost.',
  'xlocalhost:1',
  // Other spellings of addresses, which some resolvers read as loopback and others do not.
  '127.1:50051',
  '2130706433:50051',
  '0x7f.0.0.1:50051',
  '0177.0.0.1:50051',
  '[::ffff:10.0.0.1]:1',
  '[::127.0.0.1]:1',
  '[fe80::1]:1',
  // Another name server may say anything of any name.
  'dns://10.0.0.1/localhost:50051',
  'dns://localhost/evil.com:50051',
  'dns:///localhost.evil.com:1',
  'ipv4:127.0.0.1:1,10.0.0.1:2',
  'ipv4:10.0.0.1:2,127.0.0.1:1',
  'ipv6:[::1]:1,[2001:db8::1]:1',
  'ipv4:',
  'unix-abstract:keyward',
  'xds:///localhost',
  '',
])('%s may lead elsewhere', (server) => {
  expect(isLoopback(server)).toBe(false);
});
