import { open } from 'node:fs/promises';
import type { Clock } from '../lib/clock.js';
import { PeriodicTask } from '../lib/periodic-task.js';
import type { Logger } from '../telemetry/logger.js';
import type { ChainHead } from './audit-record.js';
import type { SavedHead } from './chain-verifier.js';
import { formatHeads } from './heads-format.js';

export interface HeadsFileDependencies {
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of every time that the file could not be written. */
  readonly onFailure: () => void;
}

const INTERVAL_MS = 60_000;
/** Chains that are remembered until they are written; a process has two, but for tampering and outages. */
const MAX_CHAINS = 100;

/**
 * HeadsFile writes out how far the chains of this process are: a line a minute when something was written since, and one
 * at the end. Whoever cuts off the newest records in the database has not cut them off there. The file is opened anew for
 * each line, so that it may be moved away, and several processes may share it: each line is appended by one write.
 */
export class HeadsFile {
  readonly #deps: HeadsFileDependencies;
  #heads = new Map<string, SavedHead>();
  /** Whether the last write failed: that is told once. */
  #isFailing = false;
  /** Whether the last write left a line without its end. */
  #isCutShort = false;
  readonly #writing = new PeriodicTask(() => this.#write());

  private constructor(deps: HeadsFileDependencies) {
    this.#deps = deps;
  }

  /** open makes the file if it is not there; it throws if it cannot be written. */
  static async open(deps: HeadsFileDependencies): Promise<HeadsFile> {
    try {
      await append(deps.path, '');
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`KEYWARD_AUDIT_HEADS_FILE cannot be written: ${reason}`, { cause });
    }
    return new HeadsFile(deps);
  }

  /** note takes in a head that is in the database for good. */
  note(chain: string, { seq, mac }: ChainHead): void {
    const known = this.#heads.get(chain);
    if (known !== undefined && known.seq >= seq) return;
    this.#heads.set(chain, { chain, seq, mac });
    if (this.#heads.size > MAX_CHAINS) this.#dropOldest();
  }

  /** start writes every minute, until stopped. */
  start(): void {
    this.#writing.start(INTERVAL_MS);
  }

  /** stop writes what is left. */
  stop(): Promise<void> {
    return this.#writing.finish();
  }

  /** flush writes the heads that changed since the last time. What cannot be written is kept for the next. */
  flush(): Promise<void> {
    return this.#writing.run();
  }

  async #write(): Promise<void> {
    if (this.#heads.size === 0) return;
    const { path, clock, logger, onFailure } = this.#deps;
    const heads = this.#heads;
    this.#heads = new Map();
    const line = `${this.#isCutShort ? '\n' : ''}${formatHeads([...heads.values()], clock.now())}`;
    try {
      this.#isCutShort = !(await append(path, line));
      if (this.#isCutShort) throw new Error('only a part of the line was written');
      this.#isFailing = false;
    } catch (error) {
      for (const head of heads.values()) this.note(head.chain, head);
      onFailure();
      if (!this.#isFailing) logger.warn({ err: error, path }, 'the heads of the audit log cannot be written');
      this.#isFailing = true;
    }
  }

  #dropOldest(): void {
    for (const chain of this.#heads.keys()) {
      this.#heads.delete(chain);
      return;
    }
  }
}

/** append gives false if only a part was written, as where the disk is full. */
async function append(path: string, text: string): Promise<boolean> {
  const bytes = Buffer.from(text);
  const file = await open(path, 'a', 0o600);
  try {
    if (bytes.length === 0) return true;
    return (await file.write(bytes)).bytesWritten === bytes.length;
  } finally {
    await file.close();
  }
}
