import type { ClientRequest } from 'node:http';

/** A request that is not to be rendered yet, let alone sent: it may still get other fields, or no socket at all. */
export class HeldRequest {
  /** Called when the client has given it up. */
  onDestroyed: () => void = () => undefined;
  readonly #request: ClientRequest;
  readonly #restore: () => void;
  #end: unknown[] | undefined;
  #isHeld = true;

  constructor(request: ClientRequest) {
    const { end, write, destroy } = request;
    this.#request = request;
    // Set back, not deleted: Node would go on more slowly with an object that lost a property.
    this.#restore = () => Object.assign(request, { end, write, destroy });
    request.end = (...values: unknown[]) => {
      this.#end = values;
      return request;
    };
    request.destroy = (error?: Error) => {
      this.leave();
      this.giveUp(error);
      return request;
    };
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** What Node does for a request that is destroyed before it got a socket. */
  giveUp(error: Error | undefined): void {
    this.#request.destroy(error);
    this.onDestroyed();
    this.#request.onSocket(noSocket);
  }

  /** From here on it is the client's own again. `false`: it was before. */
  leave(): boolean {
    if (!this.#isHeld) return false;
    this.#isHeld = false;
    this.#restore();
    return true;
  }

  /** Ends it as the client did meanwhile, if it did. */
  replayEnd(): void {
    if (this.#end !== undefined) Reflect.apply(this.#request.end, this.#request, this.#end);
  }
}

/** `onSocket` without a socket is how Node's agents end a request that was destroyed while it waited; its types ask for one. */
const noSocket = null as never;
