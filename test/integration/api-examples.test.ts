import type { JsonValue } from '@bufbuild/protobuf';
import { expect, test, vi } from 'vitest';
import { apiExamples, learn, messagesOf, withKnown, type Example } from '../support/api-examples.js';
import { describedMethods, JsonCaller } from '../support/json-call.js';
import { execute } from '../support/sql.js';
import { World } from '../support/world.js';

test('every method has one example in docs/examples', () => {
  const named = apiExamples().map(({ method }) => method);
  expect(named.toSorted()).toEqual([...describedMethods().keys()].sort());
});

test('each example of docs/examples is answered as it shows', async () => {
  const world = await World.create();
  const caller = new JsonCaller(world.server.address, world.adminToken);
  const known = new Map<string, string>();
  // No call makes one: an import of other databases does.
  await execute(
    world.database.url,
    `INSERT INTO import_conflicts (kind, source_key, field, kept, keyward_value, source_value)
     VALUES ('token', '9c1f0f4e-6f39-4f4b-8c8e-5a2d7f0f9d11', 'name', 'source', '"checkout"', '"checkout-eu"')`,
  );
  try {
    for (const example of apiExamples()) {
      const answers = (): Promise<void> => answersAsShown(caller, known, example);
      // Replicas tell once a second how far they are.
      await (example.method === 'ListReplicas' ? vi.waitFor(answers, { timeout: 10_000 }) : answers());
    }
  } finally {
    caller.close();
    await world.close();
  }
});

async function answersAsShown(
  caller: JsonCaller,
  known: Map<string, string>,
  example: Example,
): Promise<void> {
  const { method, response } = example;
  const received = await responsesOf(caller, known, example);
  const learned = new Map(known);
  const hint = `${method} does not answer as docs/examples shows, but ${JSON.stringify(received, undefined, 2)}`;
  expect(learn(learned, messagesOf(response), received), hint).toBe(true);
  for (const [shown, value] of learned) known.set(shown, value);
}

/** responsesOf are all that come; of a watch, which has no end, as many as it takes to show what the example does. */
async function responsesOf(
  caller: JsonCaller,
  known: ReadonlyMap<string, string>,
  { method: name, request, response }: Example,
): Promise<JsonValue[]> {
  const method = describedMethods().get(name);
  if (method === undefined) throw new Error(`there is no method ${name}`);
  const received: JsonValue[] = [];
  for await (const message of caller.call(method, messagesOf(withKnown(known, request)))) {
    received.push(message);
    if (name.startsWith('Watch') && learn(new Map(known), messagesOf(response), received)) break;
  }
  return received;
}
