import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const checkout = join(import.meta.dirname, '../../..');
const pages = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: checkout,
  encoding: 'utf8',
})
  .split('\0')
  .filter((page) => page !== '' && !page.startsWith('proto/vendor/') && existsSync(join(checkout, page)));

describe.each(pages)('%s', (page) => {
  test('links to files and headings that are there', () => {
    const links = proseOf(page).matchAll(/\]\(([^)\s]+)\)/g);
    const broken = [...links].flatMap(([, link = '']) => (isBroken(page, link) ? [link] : []));
    expect(broken).toEqual([]);
  });
});

test('the sources name pages that are there', () => {
  const names = execFileSync(
    'git',
    ['grep', '-hoE', 'docs/[a-z/-]+\\.md', '--', 'src', 'proto/keyward', 'deploy'],
    {
      cwd: checkout,
      encoding: 'utf8',
    },
  );
  for (const name of names.trim().split('\n')) expect(existsSync(join(checkout, name)), name).toBe(true);
});

function isBroken(page: string, link: string): boolean {
  if (/^(https?|mailto):/.test(link)) return false;
  const [path = '', heading] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(checkout, target))) return true;
  return heading !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(heading);
}

/** anchorsOf are the anchors that GitHub makes of a page's headings. */
function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

/** proseOf is a page without its blocks of code. */
function proseOf(page: string): string {
  return readFileSync(join(checkout, page), 'utf8').replace(/^\s*```[^]*?^\s*```$/gm, '');
}
