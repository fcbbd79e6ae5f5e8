import type { FieldLines, RequestHead } from '../http/message.js';
import { type CompleteRequestOptions, leftAlone } from '../options.js';
import type { Exchange as OriginExchange, Rules } from '../semantics/decisions.js';
import type { EngineParts } from './engine.js';
import type { Forward, OriginResponse, Presented } from './messages.js';

/** An origin's answer with the times that RFC 9111 §4.2.3 asks for. */
export interface Received extends OriginExchange {
  readonly origin: OriginResponse;
  /** How many invalidations there had been when it was asked for. */
  readonly invalidations: number;
}

/** One presented request, and what follows from it and its options alone. */
export class Inquiry {
  readonly engine: EngineParts;
  readonly presented: Presented;
  readonly request: RequestHead;
  readonly forward: Forward;
  readonly options: CompleteRequestOptions;
  readonly rules: Rules;
  readonly key: string;
  /** The user wants no caching at all, and so none of its rules either. */
  readonly isLeftAlone: boolean;
  /** Its answer may come from the store, or go there. */
  readonly mayUseStore: boolean;

  constructor(engine: EngineParts, presented: Presented, forward: Forward, options: CompleteRequestOptions) {
    this.engine = engine;
    this.presented = presented;
    this.request = presented.request;
    this.forward = forward;
    this.options = options;
    this.rules = engine.rulesOf(options);
    this.key = engine.keyOf(presented, options);
    this.isLeftAlone = options === leftAlone;
    this.mayUseStore =
      this.rules.mode !== 'no-store' &&
      engine.isMethodStored(this.request.method, options) &&
      (!presented.hasBody || presented.bodyHash !== undefined);
  }

  /** Asks the origin. Rejects only with what `forward` or the user's hook rejected with. */
  async send(fields: FieldLines | undefined, kind: 'own' | 'separate'): Promise<Received> {
    const { beforeForward } = this.engine.options;
    // Without a hook the client's own request goes out in the turn in which it was made.
    if (beforeForward !== undefined) await beforeForward(this.request);
    const requestTimeMs = this.engine.nowMs();
    const { count: invalidations } = this.engine.invalidations;
    const origin = await this.forward(fields, kind);
    return receivedOf(origin, requestTimeMs, this.engine.nowMs(), invalidations);
  }
}

export function receivedOf(
  origin: OriginResponse,
  requestTimeMs: number,
  responseTimeMs: number,
  invalidations: number,
): Received {
  const { head: response, sent } = origin;
  return { origin, response, requestTimeMs, responseTimeMs, invalidations, sent };
}

/** A condition on a method that is not safe does not ask for a 304, it forbids the method (RFC 9110 §13.1.2). */
export function conditionalFor(method: string, conditional: FieldLines): FieldLines {
  return method === 'GET' || method === 'HEAD' || method === 'QUERY' ? conditional : [];
}
