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
const canaries = [...new Set(readFileSync(canaryFile, 'utf8').split('\n'))].filter((text) => text !== '');

/** Needles are looked up by as many characters at each place of the output: there are tens of thousands of them. */
const PREFIX = 8;

/** placesOf gives where each needle that is there begins. */
function placesOf(needles, text) {
  const byPrefix = new Map();
  for (const needle of needles) {
    const prefix = needle.slice(0, PREFIX);
    byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), needle]);
  }
  const places = new Map();
  const tooShort = needles.filter(({ length }) => length < PREFIX);
  for (const needle of tooShort) if (text.includes(needle)) places.set(needle, text.indexOf(needle));
  for (let at = 0; at + PREFIX <= text.length; at += 1) {
    for (const needle of byPrefix.get(text.slice(at, at + PREFIX)) ?? []) {
      if (!places.has(needle) && text.startsWith(needle, at)) places.set(needle, at);
    }
  }
  return places;
}
const forms = canaries.flatMap((text, index) =>
  Object.entries(formsOf(text)).map(([form, needle]) => ({ canary: index + 1, form, needle })),
);
const isHex = ({ form }) => form.endsWith('hex');
const needlesOf = (some) => [...new Set(some.map(({ needle }) => needle))];
const hexPlaces = placesOf(needlesOf(forms.filter(isHex)), output.toLowerCase());
const places = placesOf(needlesOf(forms.filter((form) => !isHex(form))), output);

let found = 0;
for (const each of forms) {
  const at = (isHex(each) ? hexPlaces : places).get(each.needle);
  if (at === undefined) continue;
  found += 1;
  console.error(
    `line ${output.slice(0, at).split('\n').length} holds canary ${each.canary}: the ${each.form}`,
  );
}
if (found > 0) process.exit(1);
if (canaries.length === 0) {
  console.error('there are no canaries: the check would prove nothing');
  process.exit(1);
}
console.log(`none of ${canaries.length} canaries shows in ${output.length} characters of output`);
