/** Owner is where a resource belongs: a user profile, with the two sides it joins. */
export interface Owner {
  readonly profileId: bigint;
  readonly userId: bigint;
  readonly username: string;
  readonly accountId: bigint;
  readonly accountNumber: string;
  readonly isSuperuser: boolean;
  readonly isStaff: boolean;
}
