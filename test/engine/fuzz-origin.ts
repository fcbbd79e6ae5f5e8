import type { ServerResponse } from 'node:http';
import { bytesOf, randomOf } from '../contract/contract-kit.js';
import { type Handler, Origin } from './origin.js';

/** What an origin may do for one schedule. */
export interface OriginPlan {
  readonly seed: number;
  readonly isStorable: boolean;
  /** Answers carry a strong validator. */
  readonly hasValidator: boolean;
  /** Every answer is a new version of its path. */
  readonly changes: boolean;
  /** One answer in so many fails; 0: none. */
  readonly failsOneIn: number;
}

type Failure = 'none' | 'before-head' | 'in-body' | 'short';

const sizes = [0, 1, 900, 60_000, 300_000, 1_300_000];
/** Bodies are places in it: no two are alike from the first bytes on. */
const pool = bytesOf(2_000_000, 20_261_121);
const failures: readonly Failure[] = ['before-head', 'in-body', 'short'];

/** An origin whose answers go on, piece by piece, when they are told to. */
export class FuzzOrigin implements AsyncDisposable {
  readonly #plan: OriginPlan;
  readonly #server: Origin;
  readonly #running = new Set<RunningAnswer>();
  readonly #counts = new Map<string, number>();
  #runsFreely = false;
  failed = 0;

  private constructor(server: Origin, plan: OriginPlan) {
    this.#server = server;
    this.#plan = plan;
  }

  static async open(plan: OriginPlan): Promise<FuzzOrigin> {
    const handler: Handler = (request, response) => origin.#answer(request.url ?? '', response);
    const server = await Origin.open(handler);
    const origin = new FuzzOrigin(server, plan);
    return origin;
  }

  get url(): string {
    return this.#server.url;
  }

  get requests(): number {
    return this.#server.hits.length;
  }

  /** The answers that are under way go on by one piece. */
  step(): void {
    for (const answer of [...this.#running]) answer.step();
  }

  /** From now on, everything is answered at once. */
  runFreely(): void {
    this.#runsFreely = true;
    for (const answer of [...this.#running]) answer.finish();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.close();
  }

  #answer(path: string, response: ServerResponse): void {
    const count = (this.#counts.get(path) ?? 0) + 1;
    this.#counts.set(path, count);
    const random = randomOf(this.#plan.seed * 7919 + count * 104_729 + path.charCodeAt(1));
    const failure = this.#failureOf(random);
    if (failure !== 'none') this.failed += 1;
    const version = `${path.slice(1)}${this.#plan.changes ? count : 0}`;
    const answer = new RunningAnswer(response, failure, {
      body: bodyOf(version, this.#plan.seed),
      version,
      etag: this.#plan.hasValidator ? `"${version}"` : undefined,
      cacheControl: this.#plan.isStorable ? 'max-age=3600' : 'no-store',
      isChunked: random() % 2 === 0,
    });
    this.#running.add(answer);
    response.once('close', () => this.#running.delete(answer));
    if (this.#runsFreely) answer.finish();
  }

  #failureOf(random: () => number): Failure {
    const { failsOneIn } = this.#plan;
    if (failsOneIn === 0 || random() % failsOneIn !== 0) return 'none';
    return failures[random() % failures.length] ?? 'none';
  }
}

/** The body of a version: what a reader that is told of that version must have read, to the last byte. */
export function bodyOf(version: string, seed: number): Buffer {
  const number = [...version].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), seed);
  const start = (Math.imul(number, 2_654_435_761) >>> 0) % 500_000;
  return pool.subarray(start, start + (sizes[number % sizes.length] ?? 0));
}

interface AnswerParts {
  readonly body: Buffer;
  readonly version: string;
  readonly etag: string | undefined;
  readonly cacheControl: string;
  readonly isChunked: boolean;
}

class RunningAnswer {
  readonly #response: ServerResponse;
  readonly #failure: Failure;
  readonly #parts: AnswerParts;
  #sent = 0;
  #isOver = false;

  constructor(response: ServerResponse, failure: Failure, parts: AnswerParts) {
    this.#response = response;
    this.#failure = failure;
    this.#parts = parts;
  }

  step(): void {
    if (this.#isOver) return;
    const { body } = this.#parts;
    if (!this.#response.headersSent) {
      if (this.#failure === 'before-head') this.#break();
      else this.#writeHead();
      return;
    }
    const isHalfway = this.#sent >= body.length / 2;
    if (this.#failure === 'in-body' && isHalfway) this.#break();
    else if (this.#failure === 'short' && isHalfway) this.#cutShort();
    else if (this.#sent >= body.length) this.#end();
    else {
      const next = Math.min(body.length, this.#sent + Math.max(1, Math.ceil(body.length / 4)));
      this.#response.write(body.subarray(this.#sent, next));
      this.#sent = next;
    }
  }

  finish(): void {
    while (!this.#isOver) this.step();
  }

  #writeHead(): void {
    const { body, version, etag, cacheControl, isChunked } = this.#parts;
    const length = isChunked && this.#failure !== 'short' ? undefined : body.length;
    this.#response.writeHead(200, {
      'X-Version': version,
      'Cache-Control': cacheControl,
      ...(etag !== undefined && { ETag: etag }),
      ...(length !== undefined && { 'Content-Length': String(this.#failure === 'short' ? length + 1 : length) }),
    });
    this.#response.flushHeaders();
  }

  #end(): void {
    this.#isOver = true;
    this.#response.end();
  }

  /** The connection ends in order, and the body is not whole. */
  #cutShort(): void {
    this.#isOver = true;
    this.#response.req.socket.end();
  }

  #break(): void {
    this.#isOver = true;
    this.#response.req.socket.resetAndDestroy();
  }
}
