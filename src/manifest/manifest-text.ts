import {
  Composer,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
  Scalar,
  type Document,
  type Pair,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import type { FieldViolation } from '../lib/errors.js';
import type { Violations } from '../lib/violations.js';

/** ManifestValue is what a document holds: a scalar, a list or a mapping. */
export type ManifestValue = Scalars | readonly ManifestValue[] | ManifestMapping;
export type ManifestMapping = ReadonlyMap<string, ManifestValue>;
type Scalars = string | number | bigint | boolean | null;

/** ManifestText is a text that was read: its documents, and where each value stands. */
export interface ManifestText {
  readonly documents: readonly ManifestValue[];
  /** placed adds line and column to violations of fields such as `document[0].spec.scopes[1]`. */
  placed(violations: readonly FieldViolation[]): FieldViolation[];
}

export const MAX_MANIFEST_BYTES = 512 * 1024;
const MAX_DOCUMENTS = 100;
const MAX_LINES = 10_000;
/** What the lexer takes the text apart into: the time that reading takes goes by their number. */
const MAX_TOKENS = 8_000;
/** With what aliases repeat. */
const MAX_VALUES = 10_000;
const MAX_LEVELS = 32;
/** Besides the levels, the parser has the document, and what it has begun, on its stack. */
const MAX_STACK = MAX_LEVELS + 4;
const MAX_SYNTAX_ERRORS = 10;

/** What YAML takes for no text at all, in files or within quotes. JSON allows some of it. */
const UNPRINTABLE = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]|\p{Surrogate}/u;

/** Texts of our own: those of the parser quote what was given. */
const SYNTAX: Partial<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'has an alias with an anchor or a tag',
  BAD_ALIAS: 'has an alias without a name',
  BAD_DIRECTIVE: 'has a directive that YAML does not know',
  BAD_DQ_ESCAPE: 'has an escape that is none',
  BAD_INDENT: 'is not indented, or not closed, as it must be',
  BAD_SCALAR_START: 'has a value that begins with a reserved character',
  BLOCK_AS_IMPLICIT_KEY: 'has a nested mapping on one line: a value with ": " in it needs quotes',
  KEY_OVER_1024_CHARS: 'has a key of over 1024 characters',
  MISSING_CHAR: 'lacks a character that must be there, such as a quote, a bracket or a colon',
  MULTILINE_IMPLICIT_KEY: 'has a key of several lines',
  TAB_AS_INDENT: 'is indented by a tab',
  TAG_RESOLVE_FAILED: 'has a tag that is not allowed',
  BAD_COLLECTION_TYPE: 'has a tag that is not allowed',
};

/** readManifestText reads JSON or YAML. What is wrong with the text as such is added to the violations, with its place. */
export function readManifestText(v: Violations, text: string): ManifestText {
  const reading = new Reading(v, text);
  reading.read();
  return reading;
}

class TooMuch extends Error {
  override readonly name = 'TooMuch';
}

class Reading implements ManifestText {
  readonly documents: ManifestValue[] = [];
  readonly #violations: Violations;
  readonly #text: string;
  readonly #lines = new LineCounter();
  /** By the path of a value, or where a violation stands that has no value. */
  readonly #offsets = new Map<string, number>();
  #values = 0;

  constructor(violations: Violations, text: string) {
    this.#violations = violations;
    this.#text = text;
    this.#lines.addNewLine(0);
  }

  read(): void {
    const violations = this.#violations;
    if (Buffer.byteLength(this.#text) > MAX_MANIFEST_BYTES) {
      violations.add('manifest', `must be at most ${MAX_MANIFEST_BYTES} bytes`);
      return;
    }
    if (linesOf(this.#text) > MAX_LINES) {
      violations.add('manifest', `must be at most ${MAX_LINES} lines`);
      return;
    }
    // JSON may hold characters that YAML may not: it is looked at first.
    const unprintable = isJson(this.#text) ? -1 : this.#text.search(UNPRINTABLE);
    if (unprintable >= 0) {
      for (const { index } of this.#text.slice(0, unprintable).matchAll(/\n/g))
        this.#lines.addNewLine(index + 1);
      this.#refuse('manifest', unprintable, 'must not hold control characters');
      return;
    }
    try {
      let composed = 0;
      for (const document of this.#compose()) {
        composed += 1;
        if (composed > MAX_DOCUMENTS) throw this.#tooManyDocuments(document);
        this.#readDocument(document);
      }
    } catch (error) {
      if (!(error instanceof TooMuch)) throw error;
      return;
    }
    violations.check(violations.any || this.documents.length > 0, 'manifest', 'must hold a document');
  }

  placed(violations: readonly FieldViolation[]): FieldViolation[] {
    return violations.map(({ field, rule }) => {
      const offset = this.#offsetOf(field);
      if (offset === undefined) return { field, rule };
      const { line, col } = this.#lines.linePos(offset);
      return { field, rule: `${rule} (line ${line}, column ${col})` };
    });
  }

  /** #compose gives one document after the other, and ends where the text is too large to go on. */
  *#compose(): Generator<Document.Parsed> {
    const parser = new Parser(this.#lines.addNewLine);
    const composer = new Composer({
      version: '1.2',
      schema: 'core',
      resolveKnownTags: false,
      // This file looks for them itself: the library takes a time that grows with the square of their number.
      uniqueKeys: false,
      prettyErrors: false,
      intAsBigInt: true,
    });
    let tokens = 0;
    for (const source of new Lexer().lex(this.#text)) {
      tokens += 1;
      if (tokens > MAX_TOKENS) throw this.#tooMuch(parser.offset, `must hold at most ${MAX_TOKENS} tokens`);
      for (const token of parser.next(source)) yield* composer.next(token);
      if (parser.stack.length > MAX_STACK)
        throw this.#tooMuch(parser.offset, `must be at most ${MAX_LEVELS} levels deep`);
    }
    for (const token of parser.end()) yield* composer.next(token);
    yield* composer.end();
  }

  #readDocument(document: Document.Parsed): void {
    const field = `document[${this.documents.length}]`;
    // Of what can be read in spite of them, the tags would make something else than it says.
    const problems = [...document.errors, ...document.warnings].slice(0, MAX_SYNTAX_ERRORS);
    for (const { code, pos } of problems) {
      const rule = SYNTAX[code] ?? 'is neither JSON nor YAML';
      this.#refuse(field, pos[0], rule);
    }
    if (problems.length > 0 || document.contents === null) return;
    const { contents } = document;
    const anchors = new Map<string, unknown>();
    const nodes: readonly unknown[] = isSeq(contents) ? contents.items : [contents];
    for (const node of nodes) {
      const path = `document[${this.documents.length}]`;
      const value = this.#valueOf(node, path, anchors, 1);
      if (value !== null) this.documents.push(value);
      if (this.documents.length > MAX_DOCUMENTS) throw this.#tooManyDocuments(node);
    }
  }

  #valueOf(node: unknown, path: string, anchors: Map<string, unknown>, level: number): ManifestValue {
    const offset = offsetOf(node);
    if (offset !== undefined && !this.#offsets.has(path)) this.#offsets.set(path, offset);
    this.#values += 1;
    if (this.#values > MAX_VALUES)
      throw this.#tooMuch(
        offset ?? 0,
        `must hold at most ${MAX_VALUES} values, those that aliases repeat too`,
      );
    if (level > MAX_LEVELS) throw this.#tooMuch(offset ?? 0, `must be at most ${MAX_LEVELS} levels deep`);
    if (isAlias(node)) {
      const { source } = node;
      if (anchors.has(source)) return this.#valueOf(anchors.get(source), path, anchors, level);
      this.#refuse(path, offset ?? 0, 'has an alias without an anchor before it');
      return null;
    }
    if (isMap(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      return this.#mappingOf(node, path, anchors, level);
    }
    if (isSeq(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      return node.items.map((item, index) => this.#valueOf(item, `${path}[${index}]`, anchors, level + 1));
    }
    if (!isScalar(node)) return null;
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    return scalarOf(node);
  }

  #mappingOf(
    { items }: YAMLMap,
    path: string,
    anchors: Map<string, unknown>,
    level: number,
  ): ManifestMapping {
    const mapping = new Map<string, ManifestValue>();
    const merged: ManifestValue[] = [];
    for (const [index, pair] of items.entries()) {
      const key = this.#keyOf(pair, `${path}[${index}]`, anchors);
      if (key === undefined) continue;
      const field = pathOf(path, key, index);
      const offset = offsetOf(pair.key);
      if (mapping.has(key)) this.#refuse(field, offset ?? 0, 'is given twice');
      const value = this.#valueOf(pair.value, field, anchors, level + 1);
      if (isMergeKey(pair)) merged.push(...(Array.isArray(value) ? (value as ManifestValue[]) : [value]));
      else mapping.set(key, value);
      if (offset !== undefined && !this.#offsets.has(field)) this.#offsets.set(field, offset);
    }
    for (const source of merged) {
      if (source instanceof Map) mergeInto(mapping, source as ManifestMapping);
      else this.#refuse(path, this.#offsets.get(path) ?? 0, 'has a key "<<" that names no mapping');
    }
    return mapping;
  }

  #keyOf({ key }: Pair, path: string, anchors: Map<string, unknown>): string | undefined {
    const node = isAlias(key) ? anchors.get(key.source) : key;
    if (isScalar(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    }
    this.#refuse(path, offsetOf(key) ?? 0, 'has a key that is no text');
    return undefined;
  }

  #tooManyDocuments(at: unknown): TooMuch {
    return this.#tooMuch(offsetOf(at) ?? 0, `must hold at most ${MAX_DOCUMENTS} documents`);
  }

  #tooMuch(offset: number, rule: string): TooMuch {
    this.#refuse('manifest', offset, rule);
    return new TooMuch();
  }

  #refuse(field: string, offset: number, rule: string): void {
    const { line, col } = this.#lines.linePos(Math.min(offset, this.#text.length));
    this.#violations.add(field, `${rule} (line ${Math.max(1, line)}, column ${Math.max(1, col)})`);
  }

  /** #offsetOf is where a field stands, or else what holds it. */
  #offsetOf(field: string): number | undefined {
    for (let path = field; path !== ''; path = path.replace(/(^|\.|\[)[^.[]*$/, '')) {
      const offset = this.#offsets.get(path);
      if (offset !== undefined) return offset;
    }
    return undefined;
  }
}

function linesOf(text: string): number {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1;
  return lines;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text.replace(/^\ufeff/, ''));
    return true;
  } catch {
    return false;
  }
}

/** pathOf names what a mapping has under a key: by its place where the key is no word. */
export function pathOf(parent: string, key: string, index: number): string {
  return /^[A-Za-z]\w{0,63}$/.test(key) ? `${parent}.${key}` : `${parent}[${index}]`;
}

function offsetOf(node: unknown): number | undefined {
  const range = (node as { readonly range?: readonly [number, number, number] | null } | null)?.range;
  return range?.[0];
}

/** mergeInto gives a mapping what it has not itself of one that its key `<<` names. */
function mergeInto(mapping: Map<string, ManifestValue>, source: ManifestMapping): void {
  for (const [key, value] of source) if (!mapping.has(key)) mapping.set(key, value);
}

function isMergeKey({ key }: Pair): boolean {
  return isScalar(key) && key.value === '<<' && key.type === Scalar.PLAIN;
}

function scalarOf({ value }: Scalar): Scalars {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
      return value;
    default:
      return null;
  }
}
