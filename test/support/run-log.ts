import { appendFileSync } from 'node:fs';

/** The level that servers log at where a test asks for none; KEYWARD_LOG_LEVEL sets it for a whole run. */
export const RUN_LOG_LEVEL = process.env['KEYWARD_LOG_LEVEL'] ?? 'info';

/** keepLog adds what a server or a command wrote to the file KEYWARD_TEST_LOG_FILE, where one is wanted. */
export function keepLog(text: string | Buffer): void {
  const file = process.env['KEYWARD_TEST_LOG_FILE'];
  if (file !== undefined) appendFileSync(file, text);
}
