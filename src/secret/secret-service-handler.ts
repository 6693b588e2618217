import type { SecretServiceService } from '../gen/keyward/secret/v1/secret_service.js';
import type { Clock } from '../lib/clock.js';
import type { Handlers } from '../rpc/handlers.js';
import { accessHandlers } from './access/access-handler.js';
import { reencryptionHandlers } from './reencryption/reencryption-handler.js';
import type { ReencryptionService } from './reencryption/reencryption-service.js';
import { secretHandlers } from './secret-handler.js';
import type { SecretServices } from './secret-services.js';
import type { SecretWatch } from './secret-watch.js';
import { sharingHandlers } from './sharing/sharing-handler.js';
import { versionHandlers } from './versions/version-handler.js';
import { secretWatchHandlers } from './watch-handler.js';

export { SecretServiceService } from '../gen/keyward/secret/v1/secret_service.js';

/** secretServiceHandlers are all methods of SecretService. */
export function secretServiceHandlers(
  services: SecretServices,
  rotation: ReencryptionService,
  watch: SecretWatch,
  clock: Clock,
): Handlers<typeof SecretServiceService> {
  return {
    ...secretHandlers(services.secrets, services.clones, clock),
    ...versionHandlers(services.versions),
    ...accessHandlers(services.access),
    ...sharingHandlers(services.references, services.grants, clock),
    ...reencryptionHandlers(rotation),
    ...secretWatchHandlers(watch, clock),
  };
}
