import type { PlatformTransaction } from './platform.js';
import { insert } from './platform-rows.js';

/** The most characters of a slug, with room for a number. */
const MAX_SLUG = 90;

/** Tags writes tags as django-taggit keeps them: each text once, and a row for each thing that has it. */
export class Tags {
  readonly #trx: PlatformTransaction;
  readonly #contentType: string;

  private constructor(trx: PlatformTransaction, contentType: string) {
    this.#trx = trx;
    this.#contentType = contentType;
  }

  /** of finds the content type of a model; undefined where the platform has none. */
  static async of(trx: PlatformTransaction, app: string, model: string): Promise<Tags | undefined> {
    const sql = 'SELECT id FROM django_content_type WHERE app_label = ? AND model = ?';
    const [row] = await trx.query(sql, [app, model]);
    return typeof row?.['id'] === 'string' ? new Tags(trx, row['id']) : undefined;
  }

  /** read gives the tags of some things, in the order in which they were given. */
  async read(objects: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
    const tags = new Map<string, string[]>(objects.map((object) => [object, []]));
    if (objects.length === 0) return tags;
    const rows = await this.#trx.query(
      `SELECT item.object_id, tag.name FROM taggit_taggeditem item JOIN taggit_tag tag ON tag.id = item.tag_id
       WHERE item.content_type_id = ? AND item.object_id IN (?) ORDER BY item.id`,
      [this.#contentType, objects],
    );
    for (const { object_id: object, name } of rows) tags.get(object ?? '')?.push(name ?? '');
    return tags;
  }

  /** set gives a thing these tags and no others. Answers those that the platform cannot hold. */
  async set(object: string, tags: readonly string[]): Promise<string[]> {
    await this.clear(object);
    const refused: string[] = [];
    for (const tag of tags) {
      const id = await this.#idOf(tag);
      if (id === undefined) {
        refused.push(tag);
        continue;
      }
      await insert(this.#trx, 'taggit_taggeditem', {
        object_id: object,
        content_type_id: this.#contentType,
        tag_id: id,
      });
    }
    return refused;
  }

  async clear(object: string): Promise<void> {
    const sql = 'DELETE FROM taggit_taggeditem WHERE content_type_id = ? AND object_id = ?';
    await this.#trx.query(sql, [this.#contentType, object]);
  }

  /** #idOf finds or makes a tag; undefined where the database takes another one for equal. */
  async #idOf(tag: string): Promise<string | undefined> {
    const find = () => this.#trx.query('SELECT id, name FROM taggit_tag WHERE name = ?', [tag]);
    let [found] = await find();
    if (found === undefined) {
      await insert(this.#trx, 'taggit_tag', { name: tag, slug: await this.#freeSlug(slugOf(tag)) });
      [found] = await find();
    }
    return found?.['name'] === tag ? (found['id'] ?? undefined) : undefined;
  }

  /** #freeSlug numbers a slug that is taken, as taggit does. */
  async #freeSlug(slug: string): Promise<string> {
    for (let number = 0; ; number += 1) {
      const candidate = number === 0 ? slug : `${slug}_${number}`;
      const rows = await this.#trx.query('SELECT id FROM taggit_tag WHERE slug = ?', [candidate]);
      if (rows.length === 0) return candidate;
    }
  }
}

/** slugOf is what Django's slugify makes of a text, with room for a number. */
function slugOf(tag: string): string {
  const ascii = tag.normalize('NFKD').replace(/[^\x20-\x7e]/g, '');
  const words = ascii.toLowerCase().replace(/[^\w\s-]/g, '');
  return words
    .replace(/[-\s]+/g, '-')
    .replace(/^[-_]+|[-_]+$/g, '')
    .slice(0, MAX_SLUG);
}
