/**
 * `shadow/` judges keys as the platform would, beside Keyward: it is how an operator knows that they may cut over, or go
 * back. It writes nothing on either side.
 */

import type { Knex } from 'knex';
import type { Clock } from '../../lib/clock.js';
import { presentOf } from '../../lib/instant.js';
import { digestOf, type Digest } from '../../crypto/digest.js';
import { schemaProblem } from '../../db/migrate.js';
import { connectSource } from '../connect-source.js';
import { SmarterImportError } from '../smarter-import-error.js';
import type { Source } from '../source.js';
import { compare } from './compare.js';
import { findDjangoFacts, readDjangoFacts } from './django-facts.js';
import type { DjangoFacts } from './django-verdict.js';
import { KeywardFacts } from './keyward-facts.js';
import { ShadowTally, type ShadowReport } from './shadow-report.js';

export interface ShadowOptions {
  /** URL of the Smarter platform's database, as for an import. */
  readonly sourceUrl: string;
  /** Keyward's database, migrated. */
  readonly target: Knex;
  readonly clock: Clock;
  readonly onProgress?: (judged: number) => void;
  /** Milliseconds that the platform's database may take for an answer. */
  readonly answerLimitMs?: number;
  /** Keys that are judged at once. */
  readonly batchSize?: number;
}

const BATCH_SIZE = 1000;

/**
 * shadowKeys judges every key of the platform, and every digest that Keyward has besides.
 *
 * @param back whether keys that were made in Keyward count as differences: they would be refused by the platform
 * @throws SmarterImportError where the source is no Smarter database
 */
export async function shadowKeys(options: ShadowOptions, back: boolean): Promise<ShadowReport> {
  await requireSchema(options.target);
  const source = await openSource(options);
  try {
    return await new KeyShadow(options, source, back).run();
  } finally {
    await source.close();
  }
}

class KeyShadow {
  readonly #options: ShadowOptions;
  readonly #source: Source;
  readonly #back: boolean;
  readonly #keyward: KeywardFacts;
  readonly #tally = new ShadowTally();
  readonly #batchSize: number;

  constructor(options: ShadowOptions, source: Source, back: boolean) {
    this.#options = options;
    this.#source = source;
    this.#back = back;
    this.#keyward = new KeywardFacts(options.target);
    this.#batchSize = options.batchSize ?? BATCH_SIZE;
  }

  /** run walks through both sides in the order of the digests, so that neither has to be held in memory. */
  async run(): Promise<ShadowReport> {
    let last = '';
    for await (const batch of readDjangoFacts(this.#source, this.#batchSize)) {
      const found = await this.#keyward.of(batch.map(({ digest }) => digestOfHex(digest)));
      for (const facts of batch) {
        const pair = { django: facts, keyward: found.get(digestOfHex(facts.digest)) };
        this.#tally.add(labelOf(facts), compare(pair, presentOf(this.#options.clock)));
      }
      const end = batch.at(-1)?.digest;
      if (end !== undefined) {
        await this.#judgeOnlyHere(last, end, new Set(batch.map(({ digest }) => digestOfHex(digest))));
        last = end;
      }
      this.#options.onProgress?.(this.#tally.judged);
    }
    await this.#judgeOnlyHere(last, '', new Set());
    return this.#tally.build();
  }

  /** #judgeOnlyHere judges the digests between two of the platform's that only Keyward has. */
  async #judgeOnlyHere(after: string, before: string, there: ReadonlySet<Digest>): Promise<void> {
    for (let last = after; ;) {
      const digests = await this.#keyward.between(last, before, this.#batchSize);
      const end = digests.at(-1);
      if (end === undefined) return;
      last = Buffer.from(end, 'latin1').toString('hex');
      const onlyHere = digests.filter((digest) => !there.has(digest));
      const taken = await this.#keyward.taken(onlyHere);
      for (const [digest, facts] of await this.#keyward.of(onlyHere)) {
        const comparison = compare({ django: undefined, keyward: facts }, presentOf(this.#options.clock));
        const isExpected = !this.#back && !taken.has(digest) && comparison.outcome === 'differs';
        if (isExpected) this.#tally.addOnlyHere();
        else this.#tally.add({ key: facts.keyId, name: facts.name }, comparison);
      }
      this.#options.onProgress?.(this.#tally.judged);
    }
  }
}

/**
 * shadowTexts judges texts, each batch by what both sides say at that moment. A text is named by its number alone.
 *
 * @throws SmarterImportError where the source is no Smarter database
 */
export async function shadowTexts(
  options: ShadowOptions,
  batches: AsyncIterable<readonly string[]>,
): Promise<ShadowReport> {
  await requireSchema(options.target);
  const keyward = new KeywardFacts(options.target);
  const tally = new ShadowTally();
  for await (const texts of batches) {
    const digests = texts.map((text) => digestOf(text));
    // What is piped in may go on for days: each batch has a snapshot of its own.
    const source = await openSource(options);
    const django = await findDjangoFacts(source, digests).finally(() => source.close());
    const found = await keyward.of(digests);
    for (const [index, text] of texts.entries()) {
      const digest = digests[index] ?? '';
      const pair = { django: django.get(digest), keyward: found.get(digest) };
      const keyId = pair.keyward?.keyId ?? pair.django?.smarter?.keyId;
      const key = `text ${tally.judged + 1}${keyId === undefined ? '' : `, key ${keyId}`}`;
      const name = pair.keyward?.name ?? pair.django?.smarter?.name ?? '';
      tally.add({ key, name }, compare(pair, presentOf(options.clock), text));
    }
    options.onProgress?.(tally.judged);
  }
  return tally.build();
}

function labelOf({ smarter, user }: DjangoFacts): { key: string; name: string } {
  if (smarter === null) return { key: `knox token of ${user.username}`, name: '' };
  return { key: smarter.keyId, name: smarter.name };
}

function digestOfHex(hex: string): Digest {
  return Buffer.from(hex, 'hex').toString('latin1');
}

async function requireSchema(target: Knex): Promise<void> {
  const problem = await schemaProblem(target);
  if (problem !== undefined) throw new SmarterImportError(`Nothing can be compared: ${problem}.`);
}

async function openSource({ sourceUrl, answerLimitMs }: ShadowOptions): Promise<Source> {
  const source = await connectSource(sourceUrl, answerLimitMs);
  try {
    const tables = await source.tables();
    const lacking = ['knox_authtoken', 'drf_smarterauthtoken', 'auth_user'].filter(
      (table) => !tables.has(table),
    );
    if (lacking.length === 0) return source;
    throw new SmarterImportError(
      `The source is not a Smarter database: it has no table ${lacking.join(', ')}.`,
    );
  } catch (error) {
    await source.close();
    throw error;
  }
}
