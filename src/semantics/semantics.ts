import { decideInvalidation } from './decide-invalidation.js';
import { decideRequest } from './decide-request.js';
import { decideStorage } from './decide-storage.js';
import { decideValidation } from './decide-validation.js';
import type { Semantics } from './decisions.js';
import { present } from './present.js';
import { variantsReplacedBy } from './variants.js';

/** All decisions, for those who take them as one. */
export const semantics: Semantics = Object.freeze({
  decideRequest,
  decideStorage,
  decideValidation,
  decideInvalidation,
  variantsReplacedBy,
  present,
});
