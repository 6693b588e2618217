import type { Command } from 'commander';
import { accessCommand } from './secret-access.js';
import { deleteCommand, undeleteCommand } from './secret-deletion.js';
import { grantsCommand } from './secret-grants.js';
import { getCommand, listCommand } from './secret-list.js';
import { refsCommand } from './secret-refs.js';
import { rotateCommand, setCommand } from './secret-set.js';
import { versionsCommand } from './secret-versions.js';

/** secretCommand is `keyward secret`. */
export function secretCommand(command: Command): void {
  command
    .addCommand(listCommand())
    .addCommand(getCommand())
    .addCommand(accessCommand())
    .addCommand(setCommand())
    .addCommand(versionsCommand())
    .addCommand(rotateCommand())
    .addCommand(deleteCommand())
    .addCommand(undeleteCommand())
    .addCommand(refsCommand())
    .addCommand(grantsCommand());
}
