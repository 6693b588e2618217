import { expect, test } from 'vitest';
import { Registrations, type OwnerIds } from '../../../src/holders/registrations.js';
import { Random } from '../../support/random.js';

const OWNERS: readonly OwnerIds[] = [1n, 2n, 2n ** 40n, 2n ** 40n + 1n].map((id, place) => ({
  profileId: id,
  userId: id / 2n,
  accountId: BigInt(place % 2) + 100n,
}));

/** Model is what registrations are, without anything that makes them small. */
class Model {
  entries: { readonly handle: bigint; readonly owner: OwnerIds }[] = [];

  add(handle: bigint, owner: OwnerIds, most: number): boolean {
    this.entries = this.entries.filter((each) => each.handle !== handle || each.owner !== owner);
    if (this.entries.length >= most) return false;
    this.entries.push({ handle, owner });
    return true;
  }

  remove(handle: bigint): boolean {
    const { length } = this.entries;
    this.entries = this.entries.filter((each) => each.handle !== handle);
    return this.entries.length < length;
  }

  removeOf(matches: (owner: OwnerIds) => boolean): void {
    this.entries = this.entries.filter(({ owner }) => !matches(owner));
  }
}

test.each([16, 100, 1_000])(
  'of at most %i, all are found that were not removed, the oldest first',
  (most) => {
    const random = new Random(most);
    const registrations = new Registrations(most);
    const model = new Model();
    const pick = (): bigint => BigInt(1 + random.below(2 * most)) * 0x1_0000_0001n;
    for (let step = 0; step < 20 * most; step += 1) {
      const handle = pick();
      const owner = random.pick(OWNERS);
      if (random.chance(0.7)) expect(registrations.add(handle, owner)).toBe(model.add(handle, owner, most));
      else if (random.chance(0.95)) expect(registrations.remove(handle)).toBe(model.remove(handle));
      else {
        const ids = { profileIds: [owner.profileId], userIds: [9n ** 9n], accountIds: [] };
        const met = registrations.removeOf(ids);
        const isHeld = model.entries.some((each) => each.owner.profileId === owner.profileId);
        expect(met).toEqual({ profileIds: isHeld ? [owner.profileId] : [], userIds: [], accountIds: [] });
        model.removeOf(({ profileId }) => profileId === owner.profileId);
      }
      expect(registrations.size).toBe(model.entries.length);
    }
    expect(registrations.oldest(most)).toEqual(model.entries.map(({ handle }) => handle));
    registrations.clear();
    expect(registrations.size).toBe(0);
    expect(registrations.oldest(1)).toEqual([]);
  },
);

test('one text that shares its handle with that of another owner is removed with it, and by either owner', () => {
  const [one, other] = OWNERS;
  if (one === undefined || other === undefined) throw new Error('there are owners');
  const registrations = new Registrations(16);
  for (const owner of [one, other]) registrations.add(7n, owner);
  expect(registrations.size).toBe(2);
  expect(
    registrations.removeOf({ profileIds: [one.profileId], userIds: [], accountIds: [] }).profileIds,
  ).toEqual([one.profileId]);
  expect(registrations.remove(7n)).toBe(true);
  expect(registrations.size).toBe(0);
});
