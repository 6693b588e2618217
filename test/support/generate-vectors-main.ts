import { writeFile } from 'node:fs/promises';
import { verdictVectors } from './verdict-vectors.js';

await writeFile(new URL('../vectors/verdicts.json', import.meta.url), verdictVectors());
