import { setTimeout as pause } from 'node:timers/promises';

/** The part of `fetch` that the suite uses. */
export type SuiteFetch = (url: string, init?: SuiteInit) => Promise<SuiteResponse>;

export interface SuiteInit {
  readonly method?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly redirect?: 'manual' | 'follow';
  readonly cache?: SuiteCacheMode;
  readonly signal?: AbortSignal;
}

export type SuiteCacheMode = 'default' | 'no-store' | 'reload' | 'no-cache' | 'force-cache' | 'only-if-cached';

export interface InterimResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** What a client handed to its user, in the shape in which the suite reads it. */
export class SuiteResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: SuiteHeaders;
  readonly interimResponses: readonly InterimResponse[];
  readonly #body: string;

  constructor(
    status: number,
    statusText: string,
    headers: SuiteHeaders,
    body: string,
    interimResponses: readonly InterimResponse[] = [],
  ) {
    this.status = status;
    this.statusText = statusText;
    this.headers = headers;
    this.interimResponses = interimResponses;
    this.#body = body;
  }

  async text(): Promise<string> {
    return this.#body;
  }
}

/** Reads like `Headers`, without its checks: what a client lets through must reach the suite as it is. */
export class SuiteHeaders {
  readonly #values = new Map<string, string>();

  constructor(entries: Iterable<readonly [string, unknown]>) {
    for (const [name, value] of entries) {
      if (value === undefined || value === null) continue;
      this.#values.set(name.toLowerCase(), Array.isArray(value) ? value.join(', ') : String(value));
    }
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase()) ?? null;
  }

  forEach(visit: (value: string, name: string) => void): void {
    for (const [name, value] of this.#values) visit(value, name);
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#values.entries();
  }
}

/** Header lines as clients take them: a name that repeats has a list of values. */
export function headersOf(init: SuiteInit): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const nameOf = new Map<string, string>();
  for (const [name, value] of init.headers ?? []) {
    const known = nameOf.get(name.toLowerCase());
    if (known === undefined) {
      nameOf.set(name.toLowerCase(), name);
      headers[name] = value;
      continue;
    }
    headers[known] = [headers[known] ?? [], value].flat();
  }
  return headers;
}

/** The suite of 2026 gives a request ten seconds; 0.4.5 would wait for ever. */
export function withTimeLimit(fetch: SuiteFetch, limitMs = 10_000): SuiteFetch {
  return async (url, init = {}) => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), limitMs);
    try {
      return await fetch(url, { ...init, signal: controller.signal });
    } catch (error) {
      if (!controller.signal.aborted) throw error;
      throw Object.assign(new Error(`no answer within ${limitMs} ms`, { cause: error }), { name: 'AbortError' });
    } finally {
      clearTimeout(timer);
    }
  };
}

/**
 * Lets a test begin every `gapMs`. All at once would hold up the event loop for longer than responses are fresh in tests, and make the
 * suite's own pauses mean nothing. A test begins by sending the server what to answer.
 */
export function withPace(fetch: SuiteFetch, gapMs: number): SuiteFetch {
  let begun = 0;
  return async (url, init) => {
    if (new URL(url).pathname.startsWith('/config/')) {
      begun += 1;
      await pause(begun * gapMs);
    }
    return fetch(url, init);
  };
}
