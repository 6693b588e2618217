import { expect, test } from 'vitest';
import { databaseUser, type RunTool } from '../../../src/db/embedded/system-user.js';

const KEYWARD = { name: 'keyward', uid: 812, gid: 813 };
const NOBODY = { name: 'nobody', uid: 65534, gid: 65534, made: false };

/** system is one that knows some tools; `makes` is the tool after which there is such a user. */
function system(tools: readonly string[], makes?: string, uid = 812): { run: RunTool; asked: string[] } {
  const asked: string[] = [];
  let isThere = makes === 'from the beginning';
  const run: RunTool = (tool, args) => {
    if (tool === 'id') {
      if (isThere) return Promise.resolve(`${args[0] === '-u' ? uid : 813}\n`);
      return Promise.reject(new Error('Command failed: id\nid: no such user'));
    }
    asked.push(tool);
    if (!tools.includes(tool)) return Promise.reject(new Error(`spawn ${tool} ENOENT`));
    isThere ||= tool === makes;
    if (makes !== tool && tool !== 'addgroup') {
      return Promise.reject(new Error(`Command failed: ${tool}\n${tool}: read-only file system`));
    }
    return Promise.resolve('');
  };
  return { run, asked };
}

test.each([
  ['is taken where it exists', system([], 'from the beginning'), { ...KEYWARD, made: false }, []],
  ['is made by useradd', system(['useradd'], 'useradd'), { ...KEYWARD, made: true }, ['useradd']],
  [
    'is made by the tools of BusyBox',
    system(['addgroup', 'adduser'], 'adduser'),
    { ...KEYWARD, made: true },
    ['useradd', 'addgroup', 'adduser'],
  ],
])('the system user of the database %s', async (_, { run, asked }, expected, tools) => {
  const warnings: string[] = [];
  expect(await databaseUser((line) => warnings.push(line), run)).toEqual(expected);
  expect(asked).toEqual(tools);
  expect(warnings).toEqual([]);
});

test.each([
  ['no tool', system([])],
  ['a read-only system', system(['useradd'])],
  ['a user of that name that is root', system([], 'from the beginning', 0)],
])('with %s it is nobody, and one line names the risk', async (_, { run }) => {
  const warnings: string[] = [];
  expect(await databaseUser((line) => warnings.push(line), run)).toEqual(NOBODY);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(
    /^The database runs as "nobody", .*every other program that runs as nobody can /,
  );
});
