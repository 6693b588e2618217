import { Counter, type Registry } from 'prom-client';

/** AuditMetrics tell what somebody should look at: the audit log was tampered with, or its heads are not written out. */
export class AuditMetrics {
  readonly #tampering: Counter<'purpose' | 'found'>;
  readonly #headsFailures: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#tampering = new Counter({
      name: 'keyward_audit_tampering_total',
      help: 'Times that a chain of the audit log was not as this process had written it, by what was found.',
      labelNames: ['purpose', 'found'],
      registers,
    });
    this.#headsFailures = new Counter({
      name: 'keyward_audit_heads_file_failures_total',
      help: 'Times that the heads of the audit log could not be written to KEYWARD_AUDIT_HEADS_FILE.',
      registers,
    });
  }

  tampered(purpose: string, found: string): void {
    this.#tampering.inc({ purpose, found });
  }

  headsFailed(): void {
    this.#headsFailures.inc();
  }
}
