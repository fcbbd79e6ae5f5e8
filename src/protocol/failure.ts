import type { WriterFailure } from './messages.js';

export function failureOf(error: unknown): WriterFailure {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  return { code: 'code' in error && typeof error.code === 'string' ? error.code : '', message: error.message };
}
