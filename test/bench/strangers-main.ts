import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { migrate } from '../../src/db/migrate.js';
import { makeDataDir, removeDataDir } from '../support/data-dir.js';
import { pathOf, Peer } from '../support/rpc.js';
import { residentBytes, UnfinishedBodies } from '../support/unfinished-bodies.js';
import { startKeyward, stop } from './processes.js';
import { KEY } from './secrets.js';
import { fillTokens, plaintextOf } from './tokens.js';

/**
 * Measures validations by others while 50 connections hold 100 unfinished bodies of 4 MiB each. Who sends those is a process
 * of its own, so that only what the service does to others is measured. The settings are the default ones.
 */
const CONNECTIONS = 50;
const CALLS = 100;
const UNDISTURBED_MS = 5_000;
const LIMIT_MS = 30_000;

const [address, token] = process.argv.slice(2);
if (address === undefined) await measure();
else await attack(address, token === undefined ? {} : { authorization: `Bearer ${token}` });

async function measure(): Promise<void> {
  const dataDir = await makeDataDir();
  const database = await startEmbeddedPostgres({ dataDir });
  try {
    await migrate(database.url);
    await fillTokens(database.url, 1_000);
    const rounds: [string, string[]][] = [
      ['nobody', []],
      ['strangers', ['nobody']],
      ['another caller', [plaintextOf(500)]],
    ];
    for (const [who, args] of rounds) await round(who, database.url, args);
  } finally {
    await database.stop();
    await removeDataDir(dataDir);
  }
}

async function round(who: string, databaseUrl: string, tokens: readonly string[]): Promise<void> {
  const server = await startKeyward({ DATABASE_URL: databaseUrl, KEYWARD_FERNET_KEYS: KEY });
  const at = `127.0.0.1:${server.port}`;
  const peer = new Peer(at, { token: plaintextOf(0) });
  for (let call = 0; call < 10_000; call += 1) await validate(peer);
  const pid = server.process.pid ?? 0;
  const before = residentBytes(pid, 'now');
  const startedAt = performance.now();
  const ended =
    tokens.length === 0 ? undefined : once(fork(fileURLToPath(import.meta.url), [at, ...tokens]), 'exit');
  const attackers = { areGone: false };
  const over = ended ?? delay(UNDISTURBED_MS);
  void over.then(() => {
    attackers.areGone = true;
  });
  const milliseconds: number[] = [];
  while (!attackers.areGone) {
    milliseconds.push(await validate(peer));
    await delay(3);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const sorted = milliseconds.sort((a, b) => a - b);
  const percentile = (of: number) => (sorted[Math.floor(sorted.length * of)] ?? 0).toFixed(1);
  const more = Math.round((residentBytes(pid, 'most') - before) / 2 ** 20);
  console.log(
    `unfinished bodies of ${who}: ${sorted.length} validations in ${seconds.toFixed(0)} s, p50 ${percentile(0.5)} ms, ` +
      `p99 ${percentile(0.99)} ms, at most ${percentile(0.9999)} ms; ${more} MiB more in memory`,
  );
  peer.close();
  await stop(server);
}

async function validate(peer: Peer): Promise<number> {
  const sentAt = performance.now();
  const { code } = await peer.call('validateToken', { token: plaintextOf(0) });
  if (code !== 'OK') throw new Error(`a validation ended in ${code}`);
  return performance.now() - sentAt;
}

async function attack(at: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const startedAt = performance.now();
  const unfinished = await UnfinishedBodies.send({
    address: at,
    path: pathOf('batchValidateTokens'),
    headers,
    connections: CONNECTIONS,
    callsOfEach: CALLS,
  });
  while (unfinished.open > 0) {
    if (performance.now() - startedAt > LIMIT_MS) throw new Error('connections are open after 30 s');
    await delay(100);
  }
  process.exit();
}
