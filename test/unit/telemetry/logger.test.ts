import { expect, test } from 'vitest';
import { collectLog } from '../../support/log-lines.js';
import { NASTY, unprintableIn } from '../../support/unprintable.js';

test('an entry of the log is one line of JSON that no terminal obeys, with the same meaning', () => {
  const log = collectLog();
  log.logger.child({ worker: NASTY }).warn({ username: NASTY, [NASTY]: 1, err: new Error(NASTY) }, NASTY);
  expect(unprintableIn(log.text())).toBeUndefined();
  expect(log.text().indexOf('\n')).toBe(log.text().length - 1);
  expect(JSON.parse(log.text())).toMatchObject({
    worker: NASTY,
    username: NASTY,
    [NASTY]: 1,
    err: { message: NASTY },
    msg: NASTY,
  });
});
