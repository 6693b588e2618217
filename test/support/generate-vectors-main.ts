import { writeFile } from 'node:fs/promises';
import { conformanceVectors } from './conformance-vectors.js';
import { verdictVectors } from './verdict-vectors.js';

await writeFile(new URL('../vectors/verdicts.json', import.meta.url), verdictVectors());
await writeFile(new URL('../vectors/conformance.json', import.meta.url), conformanceVectors());
