import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { describedMethods } from '../../support/json-call.js';
import { DescribedProtos } from '../../support/described-protos.js';
import { GENERATED_DOCS } from '../../support/generated-docs.js';
import { methodOf, requiredScopes } from '../../support/required-scopes.js';

describe.each(Object.entries(GENERATED_DOCS))('%s', (path, generate) => {
  test('says what the program does; `npm run generate:docs` writes it', async () => {
    const page = await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
    expect(page).toBe(await generate(page));
  });
});

test('the comment of every method, or of its service, names the scopes that its handler demands', () => {
  const protos = DescribedProtos.read();
  const methods = protos.files.flatMap(({ services }) => services.flatMap((service) => service.methods));
  expect(methods.length).toBe(describedMethods().size);
  for (const method of methods) {
    const text = `${protos.commentOf(method)} ${protos.commentOf(method.parent)}`;
    const scopes = requiredScopes(methodOf(`/${method.parent.typeName}/${method.name}`));
    expect(text.match(/keyward\.\w+\.\w+/g), method.name).toEqual(expect.arrayContaining([...scopes]));
  }
});
