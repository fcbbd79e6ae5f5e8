import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Tap } from '../src/index.js';

/** A download without a reader is given up when the origin is silent for this long. */
const silenceMs = 30_000;

/**
 * Lets a client give up a response whose body others still want: to the client it looks like any response it destroyed, and the connection
 * goes on for the others. For HTTP/1.1; a stream of HTTP/2 ends with its reader.
 */
export function keepWanted(request: ClientRequest, response: IncomingMessage, tap: Tap): void {
  const { socket } = response;
  // HTTP/2's messages are made in the likeness of Node's, but for the parser behind them.
  if (!(socket !== null && 'parser' in socket && socket.parser)) return;
  const { destroy: destroyRequest } = request;
  const { destroy: destroyResponse } = response;
  const leave = (): boolean => {
    // Set back, not deleted: Node would go on more slowly with objects that lost a property.
    request.destroy = destroyRequest;
    response.destroy = destroyResponse;
    if (socket.destroyed || response.destroyed || !tap.isWanted()) return false;
    detach(request, response, tap);
    return true;
  };
  request.destroy = (error?: Error) => {
    const tell = request.emit.bind(request);
    if (!leave()) return Reflect.apply(destroyRequest, request, [error]);
    // In the order in which Node tells of a socket that was destroyed.
    process.nextTick(() => {
      if (error !== undefined) tell('error', error);
      response.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
    });
    return request;
  };
  response.destroy = (error?: Error) => {
    leave();
    return Reflect.apply(destroyResponse, response, [error]);
  };
}

function detach(request: ClientRequest, response: IncomingMessage, tap: Tap): void {
  const { socket } = response;
  const tell = request.emit.bind(request);
  request.destroyed = true;
  // What becomes of the connection from here on is not the client's business.
  request.emit = () => true;
  // As IncomingMessage does it, but that the socket lives on.
  response._destroy = (error, callback) => {
    response.aborted = true;
    response.emit('aborted');
    process.nextTick(callback, error);
    process.nextTick(tell, 'close');
  };
  socket.once('close', () => tap.cut());
  socket.setTimeout(silenceMs, () => socket.destroy());
  tap.detach(() => socket.destroy());
}
