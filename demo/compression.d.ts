declare module 'compression' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  /** The part of the package's interface that the demo uses: it ships no types, and `@types/compression` brings Express's. */
  export default function compression(options?: {
    threshold?: number;
  }): (request: IncomingMessage, response: ServerResponse, next: () => void) => void;
}
