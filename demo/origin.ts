import { once } from 'node:events';
import { createServer } from 'node:http';
import compression from 'compression';
import sirv from 'sirv';
import { answerParent } from './ipc.js';

/** What the server itself saw since it was last asked. */
export interface OriginCount {
  readonly requests: number;
  readonly notModified: number;
}

export type OriginProtocol = {
  readonly listen: { readonly ask: { readonly folder: string }; readonly answer: { readonly url: string } };
  readonly takeCount: { readonly ask: null; readonly answer: OriginCount };
};

let count = { requests: 0, notModified: 0 };

answerParent<OriginProtocol>({
  async listen({ folder }) {
    const files = sirv(folder, { etag: true, maxAge: 3600 });
    const compress = compression();
    const server = createServer((request, response) => {
      count.requests++;
      response.once('finish', () => {
        if (response.statusCode === 304) count.notModified++;
      });
      compress(request, response, () => files(request, response));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    return { url: `http://127.0.0.1:${address.port}` };
  },
  async takeCount() {
    const taken = count;
    count = { requests: 0, notModified: 0 };
    return taken;
  },
});
