import pg from 'pg';
import { expect, test } from 'vitest';
import { translateDatabaseError } from '../../../src/db/pg-errors.js';
import { KeywardError } from '../../../src/lib/errors.js';

function failed(sqlState: string): unknown {
  const error = new pg.DatabaseError('select 1 - it did not work', 0, 'error');
  error.code = sqlState;
  return translateDatabaseError(error);
}

test.each([
  ['25006', 'a read-only transaction'],
  ['25P03', 'a transaction that was idle for too long'],
  ['25P04', 'a transaction that took too long'],
  ['28000', 'a role that may not log in'],
  ['3F000', 'no schema'],
  ['40001', 'a conflict with the recovery of a standby'],
  ['40P01', 'a deadlock'],
  ['42501', 'no privilege'],
  ['42883', 'no function'],
  ['53300', 'too many connections'],
  ['53100', 'a full disk'],
  ['55000', 'a database that takes no connections'],
  ['55006', 'an object in use'],
  ['55P03', 'a lock that is not free'],
  ['57014', 'a statement that was cancelled'],
  ['57P01', 'a shutdown'],
  ['58030', 'a disk that does not work'],
  ['58P01', 'a file that is gone'],
  ['72000', 'a snapshot that is too old'],
  ['F0000', 'a mistake in the configuration'],
])('%s passes, so it is UNAVAILABLE: %s', (sqlState) => {
  const error = failed(sqlState);
  expect(error).toBeInstanceOf(KeywardError);
  expect(error).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
});

test.each([
  ['22P02', 'a value that is none'],
  ['23505', 'a row that is there already'],
  ['25P02', 'a statement after one that failed'],
  ['42601', 'a mistake in a statement'],
  ['54000', 'a limit of the program'],
  ['XX001', 'damaged data'],
])('%s is as it is when the call comes again: %s', (sqlState) => {
  expect(failed(sqlState)).not.toBeInstanceOf(KeywardError);
});
