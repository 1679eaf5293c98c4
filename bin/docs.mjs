// Writes the pages that are made from the code. Run it after `npm run build`; a unit test holds the pages to the code.
import { writeFileSync } from 'node:fs';
import { errorsPage } from '../dist/core/errorsPage.js';

writeFileSync(new URL('../docs/errors.md', import.meta.url), errorsPage());
