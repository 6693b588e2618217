// Fails if a file holds one of the texts that must never show, or its digest: check-canaries.mjs OUTPUT CANARIES,
// where CANARIES has one text a line. It tells which line of each file, and never the text.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';

/** formsOf lists how a text or its digest would show, each a needle for the search. */
function formsOf(text) {
  const digest = createHash('sha512').update(text).digest();
  const binary = digest.toString('latin1');
  return {
    plaintext: text,
    'plaintext in hex': Buffer.from(text).toString('hex'),
    'plaintext in base64': Buffer.from(text).toString('base64').replace(/=+$/, ''),
    'digest in hex': digest.toString('hex'),
    'digest in base64': digest.toString('base64').replace(/=+$/, ''),
    'digest in base64url': digest.toString('base64url'),
    'digest as characters': binary,
    'digest as characters in JSON': JSON.stringify(binary).slice(1, -1),
    'digest as characters, inspected': inspect(binary).slice(1, -1),
    'digest as numbers': [...digest].join(','),
    'digest as inspected bytes': digest.toString('hex', 0, 16).match(/../g).join(' '),
  };
}

const [outputFile, canaryFile] = process.argv.slice(2);
if (canaryFile === undefined) throw new Error('usage: check-canaries.mjs OUTPUT CANARIES');
const output = readFileSync(outputFile, 'utf8');
const lowerCase = output.toLowerCase();
const canaries = [...new Set(readFileSync(canaryFile, 'utf8').split('\n'))].filter((text) => text !== '');

let found = 0;
for (const [index, text] of canaries.entries()) {
  for (const [form, needle] of Object.entries(formsOf(text))) {
    const at = form.endsWith('hex') ? lowerCase.indexOf(needle) : output.indexOf(needle);
    if (at === -1) continue;
    found += 1;
    console.error(`line ${output.slice(0, at).split('\n').length} holds canary ${index + 1}: the ${form}`);
  }
}
if (found > 0) process.exit(1);
if (canaries.length === 0) {
  console.error('there are no canaries: the check would prove nothing');
  process.exit(1);
}
console.log(`none of ${canaries.length} canaries shows in ${output.length} characters of output`);
