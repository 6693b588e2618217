import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fieldNames } from '../../support/descriptors.js';
import { keyward } from '../../support/keyward-command.js';
import { METHOD_NAMES } from '../../support/rpc.js';

const page = readFileSync(new URL('../../../docs/models.md', import.meta.url), 'utf8');
const schema = readFileSync(new URL('../../fixtures/smarter/smarter-db.sql', import.meta.url), 'utf8');

/** The cells of all rows of the page's tables, but for headings. */
const rows = [...page.matchAll(/^\|(.*)\|$/gm)]
  .map(([, row = '']) => row.split('|').map((cell) => cell.trim()))
  .filter(([first = '']) => first.startsWith('`'));

const codesOf = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
const named = new Set(rows.filter((cells) => cells.length === 3).flatMap(([, cell]) => codesOf(cell)));

async function exists(name: string): Promise<boolean> {
  if (name.startsWith('keyward ')) {
    const path = name.split(' ').slice(1);
    const help = await keyward([...path.slice(0, -1), '--help']);
    return help.slice(help.indexOf('\nCommands:')).includes(`\n  ${path.at(-1) ?? ''} `);
  }
  const [message = '', field] = name.split('.');
  if (field !== undefined) return fieldNames(message).includes(field);
  return METHOD_NAMES.some((method) => method.toLowerCase() === name.toLowerCase());
}

describe('docs/models.md', () => {
  test('has a table of each model', () => {
    expect(rows.length).toBeGreaterThan(70);
    expect(named.size).toBeGreaterThan(60);
  });

  test.each([...named].sort())('names %s, which there is', async (name) => {
    expect(await exists(name)).toBe(true);
  });

  test.each(['keyward token nothing', 'Token.nothing', 'Nothing.id', 'DoNothing'])(
    '%s would be found to be nothing',
    async (name) => {
      expect(await exists(name)).toBe(false);
    },
  );

  test.each(['knox_authtoken', 'drf_smarterauthtoken', 'secret_secret'])(
    'names every column of %s',
    (table) => {
      const [, body = ''] =
        new RegExp(`CREATE TABLE public\\.${table} \\(\n([^;]+)\n\\);`).exec(schema) ?? [];
      const columns = [...body.matchAll(/^ {4}(\w+) /gm)].map(([, column = '']) =>
        column.replace(/_id$/, ''),
      );
      const members = new Set(rows.flatMap(([cell]) => codesOf(cell)));
      // The pointer of one row of a key to the other is the digest; a name ends in "_id" where it is no reference, too.
      const missing = columns.filter((name) => !members.has(name) && !members.has(`${name}_id`));
      expect(columns.length).toBeGreaterThan(4);
      expect(missing).toEqual(table === 'drf_smarterauthtoken' ? ['authtoken_ptr'] : []);
    },
  );
});
