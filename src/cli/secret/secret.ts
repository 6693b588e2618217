import type { Command } from 'commander';
import { accessCommand } from './access.js';
import { cloneCommand } from './clone.js';
import { deleteCommand, undeleteCommand } from './deletion.js';
import { grantsCommand } from './grants.js';
import { getCommand, listCommand } from './list.js';
import { refsCommand } from './refs.js';
import { rotateCommand, setCommand } from './set.js';
import { transferCommand } from './transfer.js';
import { versionsCommand } from './versions.js';

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
    .addCommand(cloneCommand())
    .addCommand(transferCommand())
    .addCommand(refsCommand())
    .addCommand(grantsCommand());
}
