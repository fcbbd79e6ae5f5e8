import { publish } from '../diagnostics.js';
import type { FieldLines } from '../http/message.js';
import { decideValidation } from '../semantics/decide-validation.js';
import { backgroundFields } from '../semantics/validators.js';
import type { StoredResponse } from '../store/contract.js';
import { mayCollapse } from './collapse.js';
import { useUntilOf } from './idle.js';
import { conditionalFor, type Inquiry, type Received } from './inquiry.js';
import { keep } from './storing.js';

/** Validates a stale response that has just answered (RFC 5861 §3), unless that is under way. No caller waits for it. */
export function validateInBackground(
  inquiry: Inquiry,
  stored: StoredResponse,
  conditional: FieldLines,
  all: readonly StoredResponse[],
): void {
  const { engine, key, request } = inquiry;
  engine.background.once(`validate ${stored.ref.sequence} ${key}`, async () => {
    const lease = mayCollapse(inquiry) ? engine.store.lease(key) : undefined;
    try {
      // Another process does it, or has just done it.
      if (lease !== undefined && (await lease.next()) === 'look') return;
      const asked = backgroundFields(request.fields, conditionalFor(request.method, conditional));
      await take(inquiry, stored, all, await inquiry.send(asked, 'separate'));
    } finally {
      lease?.release('look');
    }
  });
}

async function take(
  inquiry: Inquiry,
  stored: StoredResponse,
  all: readonly StoredResponse[],
  received: Received,
): Promise<void> {
  const { engine, key, request, rules } = inquiry;
  const { body } = received.origin;
  const verdict = decideValidation(request, stored.head, received, rules, engine.nowMs());
  if (verdict.action === 'freshen') {
    body.discard();
    publish('revalidate', { request, key });
    const { head, useUntilMs } = verdict;
    const expiresMs = useUntilOf(head, useUntilMs, head.responseTimeMs);
    await engine.store.updateHead(stored.ref, head, { expiresMs });
    return;
  }
  const kept = verdict.action === 'replace' ? keep(inquiry, received, all) : undefined;
  const isOutdated =
    kept === undefined ? verdict.action === 'refetch' : !kept.isStored && kept.reason !== 'version-mismatch';
  if (isOutdated) await engine.store.remove(stored.ref);
  body.stream.resume();
  await engine.recordings.settled(key);
}
