/** ANY_OWNER is the owner of a token whose verdict is OK. */
export const ANY_OWNER = {
  profileId: 1n,
  userId: 1n,
  username: 'alice',
  accountId: 1n,
  accountNumber: '0000-0000-0001',
  isStaff: true,
  isSuperuser: false,
  userIsActive: true,
  accountIsActive: true,
} as const;
