import type { Random } from '../../../support/random.js';
import { Key, Secret, User, type Estate, type Side } from './estate.js';
import type { KeywardSide, PlatformSide, SideOperations } from './sides.js';

/** How often something is done on the side that made it. */
const AT_HOME = 0.7;
/** Few, so that names are taken and come again. */
const NAMES = 8;
const MAX_USERS = 8;
const OTHER = { platform: 'keyward', keyward: 'platform' } as const;

/** Sequence does random operations on both sides, and keeps what they must lead to. */
export class Sequence {
  readonly #random: Random;
  readonly #estate: Estate;
  readonly #platform: PlatformSide;
  readonly #sides: Readonly<Record<Side, SideOperations>>;
  #made = 0;
  readonly #operations: readonly (() => Promise<void>)[];

  constructor(random: Random, estate: Estate, platform: PlatformSide, keyward: KeywardSide) {
    this.#random = random;
    this.#estate = estate;
    this.#platform = platform;
    this.#sides = { platform, keyward };
    const weights: [number, () => Promise<void>][] = [
      [12, () => this.#createKey(this.#side(), this.#owner(), this.#name('key'))],
      [5, () => this.#onKey(async (key, side) => this.#againKey(key, side))],
      [7, () => this.#onKey(async (key, side) => this.#renameKey(key, side))],
      [14, () => this.#onKey(async (key, side) => this.#switchKey(key, side))],
      [5, () => this.#onKey(async (key, side) => this.#editKey(key, side))],
      [8, () => this.#onKey(async (key, side) => this.#rotateKey(key, side))],
      [6, () => this.#onKey(async (key, side) => this.#deleteKey(key, side))],
      [10, () => this.#onKey(async (key, side) => this.#sides[side].useKey(key.text))],
      [4, () => this.#onKey(async (key) => this.#beginUse(key))],
      [3, () => this.endUses()],
      [7, () => this.#createSecret(this.#side(), this.#owner(), this.#name('secret'))],
      [4, () => this.#onSecret(async (secret, side) => this.#againSecret(secret, side))],
      [9, () => this.#onSecret(async (secret, side) => this.#changeValue(secret, side))],
      [4, () => this.#onSecret(async (secret, side) => this.#renameSecret(secret, side))],
      [3, () => this.#onSecret(async (secret, side) => this.#tagSecret(secret, side))],
      [4, () => this.#onSecret(async (secret, side) => this.#sides[side].readSecret(secret))],
      [4, () => this.#onSecret(async (secret, side) => this.#deleteSecret(secret, side))],
      [2, () => this.createUser(`user-${this.#random.below(MAX_USERS)}`)],
      [1, () => this.#deleteUser()],
      [3, () => this.#switchUser()],
    ];
    this.#operations = weights.flatMap(([weight, operation]) =>
      Array<typeof operation>(weight).fill(operation),
    );
  }

  /** next does one operation. */
  next(): Promise<void> {
    return this.#random.pick(this.#operations)();
  }

  /** createUser makes a user of the platform; one of that name may have been there and be gone. */
  async createUser(username: string): Promise<void> {
    const account = 1 + this.#random.below(3);
    const made = await this.#platform.createUser(username, account);
    if (made !== undefined) this.#estate.users.push(new User(username, made.id, made.profile));
  }

  async #deleteUser(): Promise<void> {
    const user = this.#owner();
    if (this.#users().length < 3 || !(await this.#platform.deleteUser(user))) return;
    const isTheirs = ({ owner }: Key | Secret): boolean => owner === user;
    for (const key of this.#estate.keys.filter(isTheirs)) key.isContested ||= key.isInUse;
    for (const made of [
      user,
      ...this.#estate.keys.filter(isTheirs),
      ...this.#estate.secrets.filter(isTheirs),
    ]) {
      made.isDeleted = true;
      made.touchedBy.add('platform');
    }
    if (this.#random.chance(0.5)) await this.createUser(user.username);
  }

  async #switchUser(): Promise<void> {
    const user = this.#owner();
    const side = this.#side();
    const on = this.#random.chance(0.7);
    if (!(await this.#sides[side].switchUser(user, on))) return;
    user.isActive = on;
    user.touchedBy.add(side);
  }

  async #createKey(side: Side, owner: User, name: string): Promise<void> {
    const made = await this.#sides[side].createKey(owner, name);
    if (made === undefined) return;
    const key = new Key(owner, side, made.keyId, made.text, name);
    key.touchedBy.add(side);
    this.#estate.keys.push(key);
  }

  async #againKey(key: Key, side: Side): Promise<void> {
    await this.#deleteKey(key, side);
    await this.#createKey(side, key.owner, key.name);
  }

  /** #beginUse lets a request of the platform read a key, which it saves some time later. */
  async #beginUse(key: Key): Promise<void> {
    key.isInUse ||= await this.#platform.beginUse(key.text);
  }

  /** endUses lets these requests save what they have read. */
  async endUses(): Promise<void> {
    await this.#platform.endUses();
    for (const key of this.#estate.keys) key.isInUse = false;
  }

  async #renameKey(key: Key, side: Side): Promise<void> {
    const name = this.#name('key');
    if (!(await this.#sides[side].renameKey(key, name))) return;
    key.name = name;
    touch(key, side);
  }

  async #switchKey(key: Key, side: Side): Promise<void> {
    const on = this.#random.chance(0.5);
    if (!(await this.#sides[side].switchKey(key, on))) return;
    key.isActive = on;
    key.isContested ||= on ? key.isDeleted : side === 'platform' && key.isInUse;
    touch(key, side);
  }

  async #editKey(key: Key, side: Side): Promise<void> {
    const days = this.#random.pick([null, 1, 30]);
    const tags = ['one', 'zwei', 'trois'].slice(this.#random.below(3));
    const description = `described ${this.#count()} on ${side}`;
    if (await this.#sides[side].editKey(key, description, tags, days)) touch(key, side);
  }

  async #rotateKey(key: Key, side: Side): Promise<void> {
    const text = await this.#sides[side].rotateKey(key);
    if (text === undefined) return;
    key.texts.push(text);
    touch(key, side);
  }

  async #deleteKey(key: Key, side: Side): Promise<void> {
    if (!(await this.#sides[side].deleteKey(key))) return;
    key.isDeleted = true;
    key.isContested ||= side === 'platform' && key.isInUse;
    touch(key, side);
  }

  async #createSecret(side: Side, owner: User, name: string): Promise<void> {
    const value = `value ${this.#count()} made on ${side}`;
    const number = await this.#sides[side].createSecret(owner, name, value);
    if (number === undefined) return;
    const secret = new Secret(owner, side, number, name, value);
    secret.touchedBy.add(side);
    this.#estate.secrets.push(secret);
  }

  async #againSecret(secret: Secret, side: Side): Promise<void> {
    await this.#deleteSecret(secret, side);
    await this.#createSecret(side, secret.owner, secret.name);
  }

  async #changeValue(secret: Secret, side: Side): Promise<void> {
    const value = `value ${this.#count()} changed on ${side}`;
    if (!(await this.#sides[side].changeValue(secret, value))) return;
    secret.value = value;
    secret.touchedBy.add(side);
  }

  async #renameSecret(secret: Secret, side: Side): Promise<void> {
    const name = this.#name('secret');
    if (!(await this.#sides[side].renameSecret(secret, name))) return;
    secret.name = name;
    secret.touchedBy.add(side);
  }

  async #tagSecret(secret: Secret, side: Side): Promise<void> {
    const tags = [`tag ${this.#random.below(5)}`, `on ${side}`];
    if (await this.#sides[side].tagSecret(secret, tags)) secret.touchedBy.add(side);
  }

  async #deleteSecret(secret: Secret, side: Side): Promise<void> {
    if (!(await this.#sides[side].deleteSecret(secret))) return;
    secret.isDeleted = true;
    secret.touchedBy.add(side);
  }

  async #onKey(operation: (key: Key, side: Side) => Promise<void>): Promise<void> {
    const key = this.#random.pick(this.#some(this.#estate.keys));
    await operation(key, this.#random.chance(AT_HOME) ? key.home : OTHER[key.home]);
  }

  async #onSecret(operation: (secret: Secret, side: Side) => Promise<void>): Promise<void> {
    if (this.#estate.secrets.length === 0) return;
    const secret = this.#random.pick(this.#some(this.#estate.secrets));
    await operation(secret, this.#random.chance(AT_HOME) ? secret.home : OTHER[secret.home]);
  }

  /** #some are mostly those of the drill that are still there; what is deleted, or was there before, is tried too. */
  #some<T extends Key | Secret>(all: readonly T[]): readonly T[] {
    const there = all.filter(({ isDeleted, owner }) => !isDeleted && this.#estate.users.includes(owner));
    return there.length === 0 || this.#random.chance(0.15) ? all : there;
  }

  #users(): readonly User[] {
    return this.#estate.users.filter(({ isDeleted }) => !isDeleted);
  }

  #owner(): User {
    return this.#random.pick(this.#users());
  }

  #side(): Side {
    return this.#random.pick(['platform', 'keyward']);
  }

  #name(kind: string): string {
    return `${kind} ${this.#random.below(NAMES)}`;
  }

  #count(): number {
    this.#made += 1;
    return this.#made;
  }
}

function touch(key: Key, side: Side): void {
  key.touchedBy.add(side);
}
