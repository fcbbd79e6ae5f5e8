import type { IncomingMessage } from 'node:http';

/** In the shape in which got says how long each phase of a request took, times in ms since the epoch. */
interface Timings {
  readonly start: number;
  readonly socket: number;
  readonly lookup: number;
  readonly connect: number;
  readonly secureConnect?: number;
  readonly upload: number;
  readonly response: number;
  end?: number;
  readonly phases: {
    readonly wait: number;
    readonly dns: number;
    readonly tcp: number;
    readonly tls?: number;
    readonly request: number;
    readonly firstByte: number;
    download?: number;
    total?: number;
  };
}

/** Gives a stored response the timings that users read off every response of got's: no connection took any time. */
export function addTimings(message: IncomingMessage, startMs: number, isSecure: boolean): void {
  const now = Date.now();
  const timings: Timings = {
    ...{ start: startMs, socket: now, lookup: now, connect: now, upload: now, response: now },
    ...(isSecure && { secureConnect: now }),
    phases: {
      ...{ wait: now - startMs, dns: 0, tcp: 0, request: 0, firstByte: 0 },
      ...(isSecure && { tls: 0 }),
    },
  };
  Object.assign(message, { timings });
  message.once('end', () => {
    timings.end = Date.now();
    timings.phases.download = timings.end - timings.response;
    timings.phases.total = timings.end - timings.start;
  });
}
