import type { ClientRequest } from 'node:http';

type Callback = (error?: Error | null) => void;

/**
 * Holds back what is written to a request until it ends, and resolves to all of it. `undefined`: it does not end in the turn in which it was
 * made, so it is a stream, which goes its way. The request's `end` is called once, as it stood before, when the content is whole.
 */
export function holdBody(request: ClientRequest): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  const { end } = request;
  return new Promise((resolve) => {
    const timer = setImmediate(() => {
      Reflect.deleteProperty(request, 'write');
      request.end = end;
      if (!request.destroyed) for (const chunk of chunks) request.write(chunk);
      resolve(undefined);
    });
    request.write = (chunk: unknown, ...rest: unknown[]): boolean => {
      chunks.push(bytesOf(chunk, rest[0]));
      const callback = callbackOf(rest);
      if (callback !== undefined) process.nextTick(callback);
      return true;
    };
    request.end = (...values: unknown[]) => {
      clearImmediate(timer);
      Reflect.deleteProperty(request, 'write');
      const [chunk, encoding] = values;
      if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') chunks.push(bytesOf(chunk, encoding));
      const content = Buffer.concat(chunks);
      request.end = end;
      const callback = callbackOf(values);
      if (callback === undefined) request.end(content);
      else request.end(content, callback);
      resolve(content);
      return request;
    };
  });
}

function bytesOf(chunk: unknown, encoding: unknown): Buffer {
  if (chunk instanceof Uint8Array) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  return Buffer.from(String(chunk), typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
}

const callbackOf = (values: readonly unknown[]): Callback | undefined =>
  values.find((value): value is Callback => typeof value === 'function');
