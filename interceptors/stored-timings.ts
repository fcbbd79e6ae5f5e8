import type { IncomingMessage } from 'node:http';

/**
 * Gives a stored response the timings that users read off every response of got's, times in ms since the epoch: no connection took any
 * time.
 */
export function addTimings(message: IncomingMessage, startMs: number, isSecure: boolean): void {
  const now = Date.now();
  const phases: { [phase: string]: number | undefined } = {
    wait: now - startMs,
    dns: 0,
    tcp: 0,
    tls: isSecure ? 0 : undefined,
    request: 0,
    firstByte: 0,
    download: undefined,
    total: undefined,
  };
  const timings: { [time: string]: unknown } = {
    start: startMs,
    socket: now,
    lookup: now,
    connect: now,
    secureConnect: isSecure ? now : undefined,
    upload: now,
    response: now,
    end: undefined,
    error: undefined,
    abort: undefined,
    phases,
  };
  Object.assign(message, { timings });
  message.once('end', () => {
    const end = Date.now();
    timings.end = end;
    phases.download = end - now;
    phases.total = end - startMs;
  });
}
