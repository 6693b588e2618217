import { connect, createValidator, type KeywardClient, type Validator } from '@keyward/client';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { freeLowPort } from '../../support/free-port.js';
import { ServerProcess } from '../../support/server-process.js';
import { byId } from '../../support/requests.js';
import { existing, World, type Issued } from '../../support/world.js';

const REPLICAS = 3;
const CLIENTS = 12;
const TOKENS = 20;
/** Three processes start one after the other, on a machine that does other things too. */
const LIMIT_MS = 180_000;
/** Each client asks for all tokens so often. */
const ASK_EVERY_MS = 20;

interface Asking {
  readonly validator: Validator;
  answers: number;
  /** Of all, those that did not come from memory. */
  asked: number;
}

let world: World;
let settings: readonly { readonly KEYWARD_LISTEN: string }[];
let replicas: ServerProcess[] = [];
let clients: KeywardClient[] = [];
let asking: Asking[];
let tokens: Issued[];
const wrong: string[] = [];
let isOver = false;

beforeAll(async () => {
  world = await World.create();
  const ports = await Promise.all(Array.from({ length: REPLICAS }, freeLowPort));
  settings = ports.map((port) => ({ KEYWARD_LISTEN: `127.0.0.1:${port}` }));
  replicas = await Promise.all(settings.map((env) => ServerProcess.start(world.database.url, env)));
  tokens = [];
  for (let number = 0; number < TOKENS; number += 1) tokens.push(await world.issue('owner-a'));
  const servers = replicas.map(({ address }) => address);
  clients = Array.from({ length: CLIENTS }, () => connect({ servers, token: world.adminToken }));
  asking = clients.map((client, number) => ({
    validator: createValidator(client, { label: `client-${number}` }),
    answers: 0,
    asked: 0,
  }));
}, LIMIT_MS);

afterAll(async () => {
  isOver = true;
  for (const client of clients) client.close();
  for (const replica of replicas) await replica.stop();
  await world.close();
});

/** ask has a client ask for all tokens again and again, and notes every answer that is none, or is wrong. */
async function ask(client: Asking): Promise<void> {
  while (!isOver) {
    for (const { plaintext } of tokens) {
      client.answers += 1;
      const cached = client.validator.validateCached(plaintext);
      if (cached === undefined) client.asked += 1;
      try {
        const { valid, reason } = cached ?? (await client.validator.validate(plaintext));
        if (!valid) wrong.push(reason);
      } catch (error) {
        wrong.push(String(error));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

function held(): number {
  return asking.reduce((sum, { validator }) => sum + validator.size, 0);
}

function total(of: 'answers' | 'asked'): number {
  return asking.reduce((sum, client) => sum + client[of], 0);
}

test(
  'a rolling update of three replicas fails no validation of twelve clients, and clears no memory',
  async () => {
    const loops = asking.map(ask);
    await vi.waitFor(() => expect(held()).toBe(CLIENTS * TOKENS), { timeout: 20_000 });
    const before = { held: held(), asked: total('asked'), answers: total('answers') };
    const lookUps = asking.map(({ validator }) => validator.counts.lookUp);

    for (const [number, env] of settings.entries()) {
      expect(await replicas[number]?.stop()).toBe(0);
      replicas[number] = await ServerProcess.start(world.database.url, env);
    }
    await vi.waitFor(() => expect(asking.every(({ validator }) => validator.isLeased)).toBe(true), {
      timeout: 10_000,
    });
    console.log(
      `entries held before ${before.held}, after ${held()}; ${total('answers') - before.answers} validations meanwhile, ${wrong.length} failed, ${total('asked') - before.asked} not from memory`,
    );
    expect(wrong).toEqual([]);
    expect(held()).toBe(before.held);
    expect(asking.map(({ validator }) => validator.counts.lookUp)).toEqual(lookUps);

    // And what they hold is right: of a change that is complete none says what was before.
    const [token] = tokens.splice(0, 1);
    const { propagation } = await world.admin.tokens.deactivateToken({ selector: byId(existing(token)) });
    expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: CLIENTS });
    for (const { validator } of asking)
      expect(validator.validateCached(existing(token).plaintext)?.valid).not.toBe(true);
    isOver = true;
    await Promise.all(loops);
  },
  LIMIT_MS,
);
