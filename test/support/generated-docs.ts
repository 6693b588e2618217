import { apiReference } from './api-reference.js';
import { scopesTable } from './scopes-table.js';
import { settingsTable } from './settings-table.js';

/** GENERATED_DOCS are the pages that are made from the program, whole or in a section; each makes its page of what is there. */
export const GENERATED_DOCS: Readonly<Record<string, (page: string) => Promise<string>>> = {
  'docs/api.md': apiReference,
  'docs/configuration.md': async (page) => withSection(page, 'settings', await settingsTable()),
  'docs/scopes.md': async (page) => withSection(page, 'scopes', await scopesTable()),
};

/** withSection puts a text between the markers of a section, such as `<!-- settings -->` and `<!-- /settings -->`. */
function withSection(page: string, name: string, text: string): string {
  const section = new RegExp(`(?<=<!-- ${name} -->\n)[^]*(?=<!-- /${name} -->)`);
  if (!section.test(page)) throw new Error(`a page lacks <!-- ${name} --> and <!-- /${name} -->`);
  return page.replace(section, () => `\n${text}\n`);
}
