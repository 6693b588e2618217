/**
 * The advisory locks that Keyward takes. Their numbers only have to differ from each other and from those of other programs in
 * the same database; replicas of different versions use the same ones.
 */

/** Held by whoever migrates. */
export const MIGRATION_LOCK = 7_033_291_501;
/** Held by whoever imports from a Smarter platform, or writes back to it. */
export const IMPORT_LOCK = 7_033_291_502;
/** Held by the one process that follows a Smarter platform. */
export const FOLLOW_IMPORT_LOCK = 7_033_291_503;
/** Held by the one process that has a Smarter platform follow. */
export const FOLLOW_EXPORT_LOCK = 7_033_291_504;
/** Held in a platform's database by each transaction of an export, until its commit is done. */
export const PLATFORM_COMMIT_LOCK = 7_033_291_507;
/** Held by each commit that publishes changes: see the migrations, which take it in SQL. */
export const PUBLISH_LOCK = 7_033_291_505;
/** Shared by those who bind values to their places, held alone by those who tell that all are bound. */
export const COMPLETION_LOCK = 7_033_291_506;
/** Shared by each user of the embedded server: "keyward" in ASCII. As a text, since a number would not be exact. */
export const USERS_LOCK = '30229394876363364';
/** Held with the hash of a name, as the second of two parts, by whoever takes that name for a secret. */
export const NAME_LOCK = 703_329_151;
