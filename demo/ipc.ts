import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** Questions to another process, by name: what is sent with each, and what comes back. */
export type Protocol = Readonly<Record<string, { readonly ask: unknown; readonly answer: unknown }>>;

export type Answers<P extends Protocol> = {
  readonly [Name in keyof P]: (ask: P[Name]['ask']) => Promise<P[Name]['answer']>;
};

/** A process of ours, to ask one question at a time. */
export interface Peer<P extends Protocol> {
  ask<Name extends keyof P & string>(name: Name, ask: P[Name]['ask']): Promise<P[Name]['answer']>;
  /** Ends it at once, as a crash or an outage would. */
  kill(): Promise<void>;
}

interface Question {
  readonly name: string;
  readonly ask: unknown;
}
type Reply = { readonly progress: number } | { readonly answer: unknown } | { readonly error: string };

/** Starts a module as a process that answers by `answerParent`. */
export function startPeer<P extends Protocol>(module: URL, onProgress: (done: number) => void = () => {}): Peer<P> {
  const child = fork(module, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return {
    ask: (name, ask) => askOnce(child, { name, ask }, onProgress),
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function askOnce(child: ChildProcess, question: Question, onProgress: (done: number) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      child.off('message', onMessage);
      child.off('exit', onExit);
      act();
    };
    const onExit = (code: number | null, signal: string | null) =>
      settle(() =>
        reject(new Error(`the process ended with ${code ?? signal} while it was asked for '${question.name}'`)),
      );
    // Both ends are this file: the shape of a message is known.
    const onMessage = (message: unknown) => {
      const reply = message as Reply;
      if ('progress' in reply) onProgress(reply.progress);
      else if ('error' in reply) settle(() => reject(new Error(reply.error)));
      else settle(() => resolve(reply.answer));
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(question);
  });
}

/** In the process itself: answers what the parent asks, and ends with the parent. */
export function answerParent<P extends Protocol>(answers: Answers<P>): void {
  process.on('disconnect', () => process.exit(1));
  process.on('message', (message) => {
    const { name, ask } = message as Question;
    const answer = answers[name];
    const work = answer === undefined ? Promise.reject(new Error(`unknown question '${name}'`)) : answer(ask);
    work.then(
      (result) => reply({ answer: result }),
      (error: unknown) => reply({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
}

export function reportProgress(done: number): void {
  reply({ progress: done });
}

function reply(message: Reply): void {
  process.send?.(message);
}
