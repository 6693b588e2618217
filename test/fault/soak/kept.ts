import { status } from '@grpc/grpc-js';
import type { BatchAccessSecretsResult, KeywardClient } from '../../../src/client/index.js';
import { byId } from '../../support/requests.js';
import { present } from '../campaign/changes.js';

interface KeptSecret {
  readonly id: bigint;
  readonly value: string;
}

/** What a result may be while the database is away. */
const OUTAGES: readonly number[] = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.RESOURCE_EXHAUSTED];

/** Kept are secrets that nobody changes. */
export class Kept {
  readonly secrets: readonly KeptSecret[];

  private constructor(secrets: readonly KeptSecret[]) {
    this.secrets = secrets;
  }

  static async make({ secrets }: KeywardClient, profileId: bigint, count: number): Promise<Kept> {
    const made: KeptSecret[] = [];
    for (let each = 1; each <= count; each += 1) {
      const value = `kept value ${each}`;
      const { secret } = await secrets.createSecret({
        owner: byId({ id: profileId }),
        name: `kept-${each}`,
        payload: { value: { $case: 'text', value } },
      });
      made.push({ id: present(secret).id, value });
    }
    return new Kept(made);
  }

  /** wrongIn is what must not be in the results of a batch that asked for all of them, in their order. */
  wrongIn(results: readonly Pick<BatchAccessSecretsResult, 'result'>[]): string[] {
    if (results.length !== this.secrets.length)
      return [`${results.length} of ${this.secrets.length} results`];
    return this.secrets.flatMap(({ value }, at) => {
      const { result } = present(results[at]);
      if (result?.$case === 'error' && OUTAGES.includes(result.value.code)) return [];
      if (result?.$case !== 'access')
        return [`no access to "${value}": ${result?.value.message ?? 'nothing'}`];
      const payload = result.value.payload?.value;
      const given = payload?.$case === 'text' ? payload.value : 'no text';
      return given === value ? [] : [`"${given}" instead of "${value}"`];
    });
  }
}
