import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { GENERATED_DOCS } from './generated-docs.js';

for (const [path, generate] of Object.entries(GENERATED_DOCS)) {
  const file = new URL(`../../${path}`, import.meta.url);
  await writeFile(file, await generate(existsSync(file) ? await readFile(file, 'utf8') : ''));
}
