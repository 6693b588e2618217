import type { UndecryptableVersion as UndecryptableVersionMessage } from '../../gen/keyward/secret/v1/secret.js';
import type {
  GetRotationStatusResponse,
  RotateEncryptionKeyResponse,
  SecretServiceService,
} from '../../gen/keyward/secret/v1/secret_service.js';
import type { Handlers } from '../../rpc/handlers.js';
import type {
  ReencryptionProgress,
  ReencryptionService,
  ReencryptionStatus,
  UndecryptableVersion,
} from './reencryption-service.js';

/** The methods about the keys that all values are encrypted with. */
type Methods = Pick<typeof SecretServiceService, 'rotateEncryptionKey' | 'getRotationStatus'>;

const ROTATE = 'keyward.keys.rotate';

export function reencryptionHandlers(service: ReencryptionService): Handlers<Methods> {
  return {
    rotateEncryptionKey: {
      permission: ROTATE,
      stream: async function* ({ dryRun, batchSize }, caller) {
        for await (const progress of service.rotate(caller, { dryRun, batchSize }))
          yield toProgress(progress);
      },
    },
    getRotationStatus: {
      permission: ROTATE,
      handle: async (_, caller) => toStatus(await service.status(caller)),
    },
  };
}

function toProgress(progress: ReencryptionProgress): RotateEncryptionKeyResponse {
  return {
    done: BigInt(progress.done),
    total: BigInt(progress.total),
    failed: BigInt(progress.failed),
    finished: progress.isFinished,
    primaryKeyId: progress.primaryKeyId,
  };
}

function toStatus(status: ReencryptionStatus): GetRotationStatusResponse {
  return {
    primaryKeyId: status.primaryKeyId,
    keys: status.keys.map((usage) => ({ ...usage })),
    undecryptableCount: BigInt(status.undecryptableCount),
    undecryptable: status.undecryptable.map(toUndecryptable),
  };
}

function toUndecryptable({
  secretId,
  number,
  keyId,
  cause,
}: UndecryptableVersion): UndecryptableVersionMessage {
  return { secretId, version: number, keyId: keyId ?? '', cause };
}
