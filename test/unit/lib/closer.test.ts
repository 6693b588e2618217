import { expect, test } from 'vitest';
import { Closer } from '../../../src/lib/closer.js';

test('what was opened last is closed first, one after the other', async () => {
  const closer = new Closer();
  const log: string[] = [];
  for (const name of ['database', 'server']) {
    closer.add(name, async () => {
      log.push(`${name} begins`);
      await Promise.resolve();
      log.push(`${name} ends`);
    });
  }
  closer.add('health', () => void log.push('health'));
  await closer.close();
  expect(log).toEqual(['health', 'server begins', 'server ends', 'database begins', 'database ends']);
});

test('each is closed even if others fail to, and all failures are told', async () => {
  const closer = new Closer();
  const closed: string[] = [];
  const failures = [new Error('first'), new Error('second')] as const;
  closer.add('database', () => Promise.resolve(closed.push('database')));
  closer.add('server', () => Promise.reject(failures[0]));
  closer.add('health', () => {
    throw failures[1];
  });
  await expect(closer.close()).rejects.toEqual(
    new AggregateError(
      [
        new Error('closing health failed', { cause: failures[1] }),
        new Error('closing server failed', { cause: failures[0] }),
      ],
      'not everything could be closed',
    ),
  );
  expect(closed).toEqual(['database']);
});

test('closing twice closes once', async () => {
  const closer = new Closer();
  let times = 0;
  closer.add('database', () => Promise.resolve((times += 1)));
  await Promise.all([closer.close(), closer.close()]);
  await closer.close();
  expect(times).toBe(1);
});
