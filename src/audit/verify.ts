import type { AuditKeys } from './audit-record.js';
import type { AuditRepository, AuditSnapshot, StoredChain } from './audit-repository.js';
import { ChainVerifier, type ChainReport, type Fault, type SavedHead } from './chain-verifier.js';
import type { Retirement } from './retirement.js';

export type { ChainReport, Fault, SavedHead } from './chain-verifier.js';

export interface AuditReport {
  /** Whether every record is proved to be as it was written, and none is missing as far as can be told. */
  readonly isIntact: boolean;
  readonly records: bigint;
  /** In the order in which the chains began. */
  readonly chains: readonly ChainReport[];
  /** The first 1000. */
  readonly faults: readonly Fault[];
  readonly faultsLeftOff: number;
  /** How far each chain is, to compare with later. */
  readonly heads: readonly SavedHead[];
}

export interface VerifyOptions {
  readonly events: AuditRepository;
  readonly keys: AuditKeys;
  /** Heads that were saved earlier: they prove that nothing has been removed from the end since. */
  readonly savedHeads: readonly SavedHead[];
  /** Told the records checked so far, and how many there are to be. */
  readonly onProgress?: (checked: bigint, total: bigint) => void;
}

const MAX_FAULTS = 1000;

/** verifyAudit checks the whole audit log as it is at one moment. Its memory does not grow with the records. */
export function verifyAudit({ events, ...options }: VerifyOptions): Promise<AuditReport> {
  return events.atOneMoment((snapshot) => new Verification(options).run(snapshot));
}

class Verification {
  readonly #options: Omit<VerifyOptions, 'events'>;
  readonly #saved: ReadonlyMap<string, SavedHead>;
  /** One for each chain, which holds a few numbers of it. */
  readonly #ended = new Map<string, ChainVerifier>();
  readonly #faults: Fault[] = [];
  #faultsLeftOff = 0;

  constructor(options: Omit<VerifyOptions, 'events'>) {
    this.#options = options;
    this.#saved = new Map(options.savedHeads.map((head) => [head.chain, head]));
  }

  async run(snapshot: AuditSnapshot): Promise<AuditReport> {
    const stored = new Map((await snapshot.chains()).map((chain) => [chain.chain, chain]));
    const records = await this.#checkRecords(snapshot, stored);
    for (const name of [...stored.keys(), ...this.#saved.keys()]) {
      if (!this.#ended.has(name)) this.#end(name, this.#verifier(name, stored));
    }
    const chains = this.#reports([...stored.keys()]);
    return {
      isIntact: this.#faults.length === 0,
      records,
      chains,
      faults: this.#faults,
      faultsLeftOff: this.#faultsLeftOff,
      heads: [...stored.values()].map(({ chain, seq, mac }) => ({ chain, seq, mac })),
    };
  }

  async #checkRecords(snapshot: AuditSnapshot, stored: ReadonlyMap<string, StoredChain>): Promise<bigint> {
    const total = [...stored.values()].reduce((sum, { seq }) => sum + seq, 0n);
    let records = 0n;
    let current: { readonly name: string; readonly verifier: ChainVerifier } | undefined;
    for await (const events of snapshot.events()) {
      for (const event of events) {
        if (current?.name !== event.chain) {
          if (current !== undefined) this.#end(current.name, current.verifier);
          current = { name: event.chain, verifier: this.#verifier(event.chain, stored) };
        }
        current.verifier.add(event);
      }
      records += BigInt(events.length);
      this.#options.onProgress?.(records, total);
    }
    if (current !== undefined) this.#end(current.name, current.verifier);
    return records;
  }

  #verifier(name: string, stored: ReadonlyMap<string, StoredChain>): ChainVerifier {
    return new ChainVerifier(name, stored.get(name), this.#saved.get(name), this.#options.keys, (fault) => {
      if (this.#faults.length < MAX_FAULTS) this.#faults.push(fault);
      else this.#faultsLeftOff += 1;
    });
  }

  #end(name: string, verifier: ChainVerifier): void {
    verifier.end();
    this.#ended.set(name, verifier);
  }

  /** #reports comes when all records are checked: those of one chain tell when the key of another was retired. */
  #reports(order: readonly string[]): ChainReport[] {
    const places = new Map(order.map((name, place) => [name, place]));
    const place = ({ chain }: ChainReport): number => places.get(chain) ?? -1;
    const retirements: Retirement[] = [...this.#ended.values()].flatMap((each) => each.retirements);
    return [...this.#ended.values()]
      .map((each) => each.report(retirements))
      .sort((a, b) => place(a) - place(b));
  }
}
