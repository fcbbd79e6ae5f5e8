import { hash, webcrypto } from 'node:crypto';
import { fieldValueOf } from '../http/fields.js';
import type { RequestHead } from '../http/message.js';

/** Longer contents are hashed on libuv's threads. */
const maxSyncBytes = 64 * 1024;

/** What a request's content is, for the key: a SHA-256, in hex, of the content and of the fields that say how to read it. */
export async function bodyHashOf(request: RequestHead, content: Uint8Array): Promise<string> {
  const bytes =
    content.byteLength <= maxSyncBytes
      ? hash('sha256', content)
      : hexOf(await webcrypto.subtle.digest('SHA-256', content));
  const describing = ['content-type', 'content-encoding', 'content-language'];
  const metadata = describing.map((name) => fieldValueOf(request.fields, name) ?? null);
  return hash('sha256', JSON.stringify([bytes, ...metadata]));
}

const hexOf = (bytes: ArrayBuffer): string => Buffer.from(bytes).toString('hex');
