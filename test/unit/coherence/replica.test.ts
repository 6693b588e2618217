import { beforeEach, describe, expect, test } from 'vitest';
import { Acknowledgements } from '../../../src/coherence/acknowledgements.js';
import { Continuity } from '../../../src/coherence/continuity.js';
import { Lease } from '../../../src/coherence/lease.js';
import { Replica } from '../../../src/coherence/replica.js';
import { ManualTimers } from '../../support/manual-timers.js';
import { EPOCH, FakeSessions, notice } from './fake-sessions.js';

let timers: ManualTimers;
let sessions: FakeSessions;
let lease: Lease;
let acknowledgements: Acknowledgements;
let continuity: Continuity;
let forgotten: string[];
let replica: Replica;

beforeEach(() => {
  timers = new ManualTimers();
  sessions = new FakeSessions();
  lease = new Lease(timers, 60_000);
  acknowledgements = new Acknowledgements();
  continuity = new Continuity(timers);
  forgotten = [];
  replica = new Replica({
    id: 'self',
    connector: sessions,
    memory: {
      forget: ({ digests }) => void forgotten.push(...digests),
      clear: () => void forgotten.push('everything'),
    },
    lease,
    acknowledgements,
    continuity,
    timers,
    logger: { info: () => undefined, warn: () => undefined },
  });
});

async function joined(): Promise<void> {
  replica.start();
  await timers.advance(0);
}

describe('a new session', () => {
  test('listens, registers, reads the head, forgets everything, and only then takes the lease', async () => {
    sessions.headIs(7n);
    sessions.hold('head');
    replica.start();
    await timers.advance(0);
    expect(sessions.commands).toEqual(['connect', 'listen', 'renew 0', 'head']);
    expect([replica.state, forgotten]).toEqual(['LOST', []]);
    await sessions.release();
    expect([replica.state, replica.applied, forgotten]).toEqual(['HELD', 7n, ['everything']]);
  });

  test('what is heard before the head is known is applied afterwards, and what is in the head acknowledged', async () => {
    sessions.headIs(7n);
    sessions.hold('head');
    replica.start();
    await timers.advance(0);
    sessions.tell(notice(7n, 'a', 'w1'));
    sessions.tell(notice(8n, 'b', 'w2'));
    expect(forgotten).toEqual([]);
    await sessions.release();
    expect(forgotten).toEqual(['everything', 'b']);
    expect(sessions.commands.at(-1)).toBe('acknowledge 8 to w1,w2');
  });

  test('after an interruption those are answered who wait for what was missed', async () => {
    await joined();
    sessions.commit(notice(1n, 'a', 'w1'), { told: false });
    sessions.lose();
    await timers.advance(50);
    expect(forgotten).toEqual(['everything', 'everything']);
    expect(sessions.commands.at(-1)).toBe('acknowledge 1 to w1');
    expect(replica.state).toBe('HELD');
  });

  test('after a long interruption the changes are not read one by one', async () => {
    await joined();
    sessions.headIs(1_001n);
    sessions.lose();
    await timers.advance(50);
    expect(sessions.commands.filter((each) => each.startsWith('notices'))).toEqual([]);
    expect([replica.applied, forgotten]).toEqual([1_001n, ['everything', 'everything']]);
  });
});

describe('a notice', () => {
  beforeEach(joined);

  test('is applied and then acknowledged to its writer, several of one packet by one message', async () => {
    sessions.commit(notice(1n, 'a', 'w1'));
    sessions.commit(notice(2n, 'b', 'w1', 'w2'));
    expect(forgotten).toEqual(['everything', 'a', 'b']);
    await timers.advance(0);
    expect(sessions.commands.slice(4)).toEqual(['acknowledge 2 to w1,w2']);
  });

  test('of its own change is applied, and acknowledged to nobody', async () => {
    sessions.commit(notice(1n, 'a', 'self'));
    await timers.advance(0);
    expect([replica.applied, sessions.commands.slice(4)]).toEqual([1n, []]);
  });

  test('while an acknowledgement is under way, further ones are gathered', async () => {
    sessions.hold('acknowledge');
    sessions.commit(notice(1n, 'a', 'w1'));
    await timers.advance(0);
    sessions.commit(notice(2n, 'b', 'w2'));
    sessions.commit(notice(3n, 'c', 'w3'));
    await timers.advance(0);
    await sessions.release();
    expect(sessions.commands.slice(4)).toEqual(['acknowledge 1 to w1', 'acknowledge 3 to w2,w3']);
  });

  test('that has been applied before is acknowledged again, and not applied again', async () => {
    sessions.commit(notice(1n, 'a', 'w1'));
    await timers.advance(0);
    sessions.tell(notice(1n, 'a', 'w1'));
    await timers.advance(0);
    expect(forgotten).toEqual(['everything', 'a']);
    expect(sessions.commands.slice(4)).toEqual(['acknowledge 1 to w1', 'acknowledge 1 to w1']);
  });

  test('after a gap is applied together with what is missing, in order', async () => {
    sessions.commit(notice(1n, 'a', 'w1'), { told: false });
    sessions.commit(notice(2n, 'b'), { told: false });
    sessions.commit(notice(3n, 'c', 'w1'));
    await timers.advance(0);
    expect(forgotten).toEqual(['everything', 'a', 'b', 'c']);
    expect(sessions.commands.slice(4)).toEqual(['notices 0 to 3', 'acknowledge 3 to w1']);
  });

  test('after a gap that the feed no longer covers makes it forget everything', async () => {
    sessions.headIs(9n);
    sessions.tell(notice(9n, 'c'));
    await timers.advance(0);
    expect([replica.applied, forgotten]).toEqual([9n, ['everything', 'everything']]);
  });

  test('an acknowledgement reaches those who wait', async () => {
    const head = { epoch: EPOCH, revision: 5n };
    sessions.tellAcknowledged('other', head);
    await timers.advance(0);
    expect(acknowledgements.has('other', head)).toBe(true);
  });
});

describe('the heartbeat', () => {
  beforeEach(joined);

  test('renews each second, tells how far the replica has come, and reads the head', async () => {
    sessions.commit(notice(1n, 'a'));
    await timers.advance(1_000);
    expect(sessions.commands.slice(4)).toEqual(['renew 1', 'head']);
    await timers.advance(10_000);
    expect([replica.state, sessions.connects]).toEqual(['HELD', 1]);
  });

  test('extends the lease only when every change up to the head has been applied', async () => {
    sessions.commit(notice(1n, 'a', 'w1'), { told: false });
    sessions.hold('notices');
    await timers.advance(1_900);
    expect(sessions.commands.slice(4)).toEqual(['renew 0', 'head', 'notices 0 to 1']);
    timers.stall(999);
    expect(lease.holds()).toBe(true);
    timers.stall(1);
    expect(lease.holds()).toBe(false);
  });

  test('gives a silent session up after a second, and the lease lasts until another is there', async () => {
    sessions.hold('renew');
    await timers.advance(2_000);
    expect([sessions.closed, lease.holds()]).toEqual([1, true]);
    sessions.unhold();
    await timers.advance(50);
    expect([sessions.connects, replica.state]).toEqual([2, 'HELD']);
  });

  test('of a process that was stopped brings no lease that counts from later than it was sent', async () => {
    sessions.hold('head');
    await timers.advance(1_000);
    timers.stall(2_900);
    await sessions.release();
    expect(lease.holds()).toBe(false);
  });
});

describe('another history', () => {
  beforeEach(async () => {
    sessions.headIs(7n);
    await joined();
    forgotten = [];
  });

  test('that the head tells of makes it forget everything, also where the revision is higher', async () => {
    sessions.restore(9n);
    await timers.advance(1_000);
    expect([replica.state, replica.applied, forgotten]).toEqual(['HELD', 9n, ['everything']]);
    expect(sessions.commands.slice(4)).toEqual(['renew 7', 'head']);
  });

  test('that a notice tells of ends all answers from memory at once, until the head was read', async () => {
    sessions.restore(2n);
    sessions.hold('head');
    sessions.commit({ ...notice(3n, 'a', 'w1'), epoch: sessions.epoch });
    expect([lease.holds(), lease.allowsStale(), forgotten]).toEqual([false, false, ['everything']]);
    await timers.advance(0);
    expect(sessions.commands.slice(4)).toEqual(['renew 7', 'head']);
    await sessions.release();
    expect([replica.state, replica.applied]).toEqual(['HELD', 3n]);
    expect(sessions.commands.at(-1)).toBe('acknowledge 3 to w1');
  });

  test('nothing of an epoch that is over is acknowledged, or begins it again', async () => {
    sessions.restore(2n);
    await timers.advance(1_000);
    sessions.tell(notice(8n, 'late', 'w1'));
    await timers.advance(0);
    expect([replica.state, replica.applied]).toEqual(['HELD', 2n]);
    expect(sessions.commands.filter((each) => each.startsWith('acknowledge'))).toEqual([]);
    const asked = sessions.commands.length;
    await timers.advance(500);
    expect(sessions.commands).toHaveLength(asked);
  });

  test('is a lower head in the same epoch, which is ended', async () => {
    sessions.headIs(6n);
    sessions.hold('end');
    await timers.advance(1_000);
    expect([lease.holds(), forgotten]).toEqual([false, ['everything']]);
    await sessions.release();
    expect(sessions.commands.slice(4)).toEqual(['renew 7', 'head', 'end', 'renew 7', 'head']);
    expect([replica.state, replica.applied]).toEqual(['HELD', 6n]);
  });

  test('is a database that has lost renewals, although its head is higher', async () => {
    await timers.advance(5_000);
    sessions.startOlder(9n, 2n);
    expect(continuity.server).not.toBe('server 2');
    await timers.advance(50);
    expect(sessions.commands).toContain('end');
    expect([replica.state, continuity.server]).toEqual(['HELD', 'server 2']);
  });

  test('is an epoch that was left and comes back, whose numbers are those of an older copy', async () => {
    sessions.restore(9n);
    await timers.advance(1_000);
    acknowledgements.note('other', { epoch: sessions.epoch, revision: 9n });
    sessions.goBackTo(1, 8n);
    await timers.advance(1_000);
    expect(sessions.commands).toContain('end');
    expect([replica.state, replica.applied]).toEqual(['HELD', 8n]);
    expect(acknowledgements.has('other', { epoch: 'epoch 2', revision: 1n })).toBe(false);
  });

  test('is not one where a session is only lost, nor where the registration was deleted in a long absence', async () => {
    await timers.advance(5_000);
    sessions.lose();
    await timers.advance(50);
    sessions.refuse();
    sessions.lose();
    await timers.advance(3_600_000);
    sessions.startOlder(7n, 0n);
    sessions.accept();
    await timers.advance(2_000);
    expect(sessions.commands).not.toContain('end');
    expect(replica.state).toBe('HELD');
  });
});

describe('without a session', () => {
  test('it is tried again, less and less often, and tells that it is cut off', async () => {
    await joined();
    sessions.refuse();
    sessions.lose();
    const connects: number[] = [];
    for (let second = 0; second < 8; second += 1) {
      await timers.advance(1_000);
      connects.push(sessions.connects);
    }
    expect(connects.at(-1)).toBeGreaterThan(6);
    expect((connects.at(-1) ?? 0) - (connects.at(-4) ?? 0)).toBeLessThanOrEqual(2);
    expect(replica.state).toBe('CUT_OFF');
  });

  test('what was lost while nothing was under way is noticed at once', async () => {
    await joined();
    sessions.lose();
    await timers.advance(50);
    expect([sessions.connects, replica.state]).toEqual([2, 'HELD']);
  });
});

describe('stopping', () => {
  test('ends the lease before the registration is removed, and nothing is begun again', async () => {
    await joined();
    sessions.hold('leave');
    const stopped = replica.stop();
    await timers.advance(0);
    expect([lease.holds(), lease.allowsStale(), sessions.commands.at(-1)]).toEqual([false, false, 'leave']);
    await sessions.release();
    await stopped;
    await timers.advance(10_000);
    expect([sessions.closed, sessions.connects, sessions.commands.at(-1)]).toEqual([1, 1, 'leave']);
  });

  test('during a renewal signs off after it, so that no registration is left', async () => {
    await joined();
    sessions.hold('renew');
    await timers.advance(1_000);
    const stopped = replica.stop();
    await sessions.release();
    await stopped;
    expect(sessions.commands.slice(4)).toEqual(['renew 0', 'head', 'leave']);
    expect(lease.holds()).toBe(false);
  });

  test('ends although the database does not answer, or none is there', async () => {
    await joined();
    sessions.hold('leave');
    const stopped = replica.stop();
    await timers.advance(1_000);
    await stopped;
    expect(sessions.closed).toBe(1);
  });

  test('between two attempts ends at once', async () => {
    sessions.refuse();
    replica.start();
    await timers.advance(0);
    await replica.stop();
    await timers.advance(10_000);
    expect(sessions.connects).toBe(1);
  });
});
