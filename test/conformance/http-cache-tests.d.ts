/** The suite ships no types; these are of what the harness touches. */
declare module 'http-cache-tests/tests/index.mjs' {
  export interface TestGroup {
    readonly id: string;
    readonly name: string;
    readonly tests: readonly TestCase[];
  }
  export interface TestCase {
    readonly id: string;
    readonly name: string;
    readonly kind?: 'required' | 'optimal' | 'check';
    readonly depends_on?: readonly string[];
    /** Only for a cache that is built into a client. */
    readonly browser_only?: boolean;
    /** Not through a browser: for shared caches, or about things that its `fetch` hides. */
    readonly browser_skip?: boolean;
    readonly cdn_only?: boolean;
  }
  const groups: readonly TestGroup[];
  export default groups;
}
declare module 'http-cache-tests/client/runner.mjs' {
  import type { TestGroup } from 'http-cache-tests/tests/index.mjs';
  /** `true`, or the name and message of what went wrong. */
  export type Outcome = true | readonly [name: string, message: string];
  export function runTests(
    groups: readonly TestGroup[],
    fetch: (url: string, init?: never) => Promise<object>,
    browserCache: boolean,
    baseUrl: string,
    chunkSize?: number,
  ): Promise<void>;
  export function getResults(): Readonly<Record<string, Outcome>>;
}
declare module 'http-cache-tests/lib/display.mjs' {
  import type { Outcome } from 'http-cache-tests/client/runner.mjs';
  import type { TestGroup } from 'http-cache-tests/tests/index.mjs';
  export function determineTestResult(
    groups: readonly TestGroup[],
    id: string,
    outcomes: Readonly<Record<string, Outcome>>,
    honorDependencies?: boolean,
  ): readonly [glyph: string, colour: string, symbol: string];
}
