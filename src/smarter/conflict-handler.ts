import {
  ImportSide,
  type ImportConflict,
  type ImportServiceService,
} from '../gen/keyward/smarter/v1/import_service.js';
import { parseListRequest } from '../lib/page.js';
import { checked } from '../lib/violations.js';
import type { Handlers } from '../rpc/handlers.js';
import { toTimestamp } from '../rpc/timestamp.js';
import { CONFLICT_COLUMNS, type ConflictService, type OpenConflict } from './conflict-service.js';

export { ImportServiceService } from '../gen/keyward/smarter/v1/import_service.js';

const SIDES: Readonly<Record<OpenConflict['kept'], ImportSide>> = {
  keyward: ImportSide.IMPORT_SIDE_KEYWARD,
  source: ImportSide.IMPORT_SIDE_SOURCE,
};

export function conflictHandlers(service: ConflictService): Handlers<typeof ImportServiceService> {
  return {
    listImportConflicts: {
      permission: 'keyward.imports.read',
      handle: async ({ pageSize, pageToken, filter, orderBy }, caller) => {
        const page = checked((v) =>
          parseListRequest(v, { pageSize, pageToken, filter, orderBy }, CONFLICT_COLUMNS, caller),
        );
        const { items, nextPageToken } = await service.list(caller, page);
        return { conflicts: items.map(toImportConflict), nextPageToken };
      },
    },
  };
}

function toImportConflict({ kept, foundAt, ...conflict }: OpenConflict): ImportConflict {
  return { ...conflict, kept: SIDES[kept], foundAt: toTimestamp(foundAt) };
}
