import { spawnSync } from 'node:child_process';

/** PYTHON is the interpreter of the tests; CI makes one that has what they import. */
export const PYTHON = process.env['KEYWARD_TEST_PYTHON'] ?? 'python3';

/** pythonHas tells whether there is a Python with all of these modules here. */
export function pythonHas(...modules: readonly string[]): boolean {
  return spawnSync(PYTHON, ['-c', `import ${modules.join()}`]).status === 0;
}
