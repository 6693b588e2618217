import { appendFileSync } from 'node:fs';

/**
 * registerCanary keeps a text that must never show in any output in the file that KEYWARD_TEST_CANARY_FILE names,
 * if it names one, for `.ci/check-canaries.mjs`. It gives the text back.
 */
export function registerCanary(text: string): string {
  const file = process.env['KEYWARD_TEST_CANARY_FILE'];
  if (file !== undefined && file !== '') appendFileSync(file, `${text}\n`, { mode: 0o600 });
  return text;
}
