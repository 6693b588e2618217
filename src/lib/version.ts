import { readFileSync } from 'node:fs';

/** serviceVersion is the package's. */
export function serviceVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
