import { format } from 'prettier';
import { SETTINGS } from '../../src/config.js';

/** settingsTable says of each setting its default and its meaning. */
export function settingsTable(): Promise<string> {
  const rows = Object.values(SETTINGS).map(({ variable, default: fallback, description }) => {
    return `| \`${variable}\` | ${fallback === '' ? '' : `\`${fallback}\``} | ${description} |`;
  });
  return format(['| Variable | Default | Meaning |', '| --- | --- | --- |', ...rows].join('\n'), {
    parser: 'markdown',
  });
}
