import type { StoredHead } from '../http/message.js';
import type { StoredResponse } from '../store/contract.js';
import type { Inquiry } from './inquiry.js';

/** Uses in between are not written down. */
const notedUsesInIdleTtl = 8;

/** It was not used for so long that it is gone. */
export function isIdle(head: StoredHead, nowMs: number): boolean {
  return head.idleTtlMs !== undefined && nowMs - lastUseOf(head) >= head.idleTtlMs;
}

/** When it is of no use any more, if it is used no more from now on. */
export function useUntilOf({ idleTtlMs }: StoredHead, useUntilMs: number, nowMs: number): number {
  return idleTtlMs === undefined ? useUntilMs : Math.min(useUntilMs, nowMs + idleTtlMs);
}

/** Writes down that it was used, if it is time to. Nobody waits for it. */
export function noteUse({ engine, key }: Inquiry, { head, ref }: StoredResponse): void {
  const nowMs = engine.nowMs();
  if (head.idleTtlMs === undefined || nowMs - lastUseOf(head) < head.idleTtlMs / notedUsesInIdleTtl) return;
  const expiresMs = nowMs + head.idleTtlMs;
  engine.background.once(`use ${ref.sequence} ${key}`, async () => {
    await engine.store.updateHead(ref, { ...head, lastUsedMs: nowMs }, { expiresMs });
  });
}

/** A validation is a use as well. */
function lastUseOf({ lastUsedMs = 0, responseTimeMs }: StoredHead): number {
  return Math.max(lastUsedMs, responseTimeMs);
}
