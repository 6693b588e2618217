import { format } from 'prettier';
import { SETTINGS } from '../../src/config.js';

const SECTION = /(?<=<!-- settings -->\n)[^]*(?=<!-- \/settings -->)/;

/** withSettingsTable puts the table of all settings between the markers of the README. */
export async function withSettingsTable(readme: string): Promise<string> {
  if (!SECTION.test(readme)) throw new Error('the README lacks <!-- settings --> and <!-- /settings -->');
  const table = await settingsTable();
  return readme.replace(SECTION, () => `\n${table}\n`);
}

async function settingsTable(): Promise<string> {
  const rows = Object.values(SETTINGS).map(({ variable, default: fallback, description }) => {
    return `| \`${variable}\` | ${fallback === '' ? '' : `\`${fallback}\``} | ${description} |`;
  });
  return format(['| Variable | Default | Meaning |', '| --- | --- | --- |', ...rows].join('\n'), {
    parser: 'markdown',
  });
}
