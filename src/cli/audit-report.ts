import type { AuditReport, ChainReport, Fault } from '../audit/verify.js';
import { formatPgTimestamp } from '../lib/instant.js';

const FAULTS: Readonly<Record<Fault['kind'], string>> = {
  CHANGED: 'changed',
  REORDERED: 'in another order than written',
  INSERTED: 'inserted',
  REMOVED: 'removed',
  HEAD_CHANGED: "the chain's row does not tell its last record",
  HEAD_MISSING: "the chain's row was removed, or its records were inserted",
  KEY_MISSING: "the chain's key is not among the configured keys, so nothing can be told of it",
  KEY_RETIRED: 'the chain was begun, or went on, after its key was retired',
};

/** reportJson is the report as `--json` prints it: numbers of records as text, since they may exceed 2^53. */
export function reportJson({ isIntact, records, chains, faults, faultsLeftOff }: AuditReport): string {
  const report = {
    intact: isIntact,
    records: String(records),
    chains: chains.map(({ chain, purpose, keyId, startedAt, vouched, ...counts }) => ({
      chain,
      purpose,
      keyId,
      startedAt: startedAt === null ? null : formatPgTimestamp(startedAt),
      records: String(counts.records),
      vouchedFrom: textOf(vouched?.from),
      vouchedTo: textOf(vouched?.to),
      faults: counts.faults,
    })),
    faults: faults.map(({ kind, chain, seq, lastSeq, id }) => ({
      kind,
      chain,
      seq: textOf(seq),
      lastSeq: textOf(lastSeq),
      id: textOf(id),
    })),
    faultsLeftOff,
  };
  return JSON.stringify(report, undefined, 2);
}

/** formatReport is the report for people. */
export function formatReport(report: AuditReport): string {
  const { records, chains, faults, faultsLeftOff } = report;
  const lines = [`Checked ${records} records in ${chains.length} chains.`, ''];
  lines.push(...chains.map((chain) => `  ${chainLine(chain)}`));
  if (faults.length > 0) lines.push('', ...faults.map(faultLine));
  if (faultsLeftOff > 0) lines.push(`... and ${faultsLeftOff} more`);
  return `${lines.join('\n')}\n`;
}

function chainLine({ chain, purpose, startedAt, records, vouched }: ChainReport): string {
  const began = startedAt === null ? 'unknown' : formatPgTimestamp(startedAt);
  const extent =
    vouched === null ? 'vouched for: nothing' : `vouched for: records ${vouched.from} to ${vouched.to}`;
  return `${chain}  ${purpose ?? 'UNKNOWN'}  began ${began}  ${records} records, ${extent}`;
}

function faultLine({ kind, chain, seq, lastSeq, id }: Fault): string {
  const many = seq === lastSeq ? '' : ` to ${textOf(lastSeq) ?? ''}`;
  const record = seq === null ? '' : `, record ${seq}${many}`;
  return `${FAULTS[kind]}: chain ${chain}${record}${id === null ? '' : ` (id ${id})`}`;
}

function textOf(number: bigint | null | undefined): string | null {
  return number === null || number === undefined ? null : String(number);
}
