// The origin, in a process of its own. Every page is distinct: it begins with its number.
// Prints its URL; ends with its parent.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { CHUNK_BYTES, LARGE_BYTES, largeChunk, pageOf } from './bodies.mjs';

const server = createServer((request, response) => {
  const [, kind, number = ''] = (request.url ?? '').split('/');
  response.setHeader('Cache-Control', 'max-age=86400');
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  if (kind === 'page') {
    const body = pageOf(Number(number));
    response.setHeader('ETag', `"${number}"`);
    response.setHeader('Content-Length', body.length);
    response.end(body);
  } else if (kind === 'large') {
    response.setHeader('Content-Length', LARGE_BYTES);
    sendLarge(response).catch((error) => response.destroy(error));
  } else {
    response.writeHead(404).end();
  }
});

async function sendLarge(response) {
  for (let sent = 0; sent < LARGE_BYTES; sent += CHUNK_BYTES) {
    // Copied, since it is changed again before the socket has taken it.
    if (!response.write(Buffer.from(largeChunk(sent / CHUNK_BYTES)))) await once(response, 'drain');
  }
  response.end();
}

process.on('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));
