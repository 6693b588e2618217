import { Command } from 'commander';
import { validateCommand } from '../validate.js';
import {
  activateCommand,
  deactivateCommand,
  renameCommand,
  revokeCommand,
  transferCommand,
} from './change.js';
import { cloneCommand, createCommand, rotateCommand } from './issue.js';
import { getCommand, listCommand } from './list.js';
import { refsCommand } from './refs.js';

/** tokenCommand is `keyward token`. */
export function tokenCommand(command: Command): void {
  const validate = new Command('validate').description(
    'Ask whether texts are tokens that may pass, as "keyward validate" does.',
  );
  validateCommand(validate);
  command
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(getCommand())
    .addCommand(validate)
    .addCommand(rotateCommand())
    .addCommand(activateCommand())
    .addCommand(deactivateCommand())
    .addCommand(revokeCommand())
    .addCommand(cloneCommand())
    .addCommand(renameCommand())
    .addCommand(transferCommand())
    .addCommand(refsCommand());
}
