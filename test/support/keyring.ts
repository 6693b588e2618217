import { FernetKey } from '../../src/crypto/fernet.js';
import { registerCanary } from './canaries.js';

/** TEST_KEY is the text of the key of every test server that is given no other. */
export const TEST_KEY = registerCanary(FernetKey.generate());
