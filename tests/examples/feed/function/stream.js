// SPDX-License-Identifier: MIT
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import slugger from 'slugger';

async function* lines(titles) {
  for (const title of titles) {
    if (typeof title !== 'string') throw new TypeError('a title is a text');
    yield slugger(title) + '\n';
  }
}

export const handler = awslambda.streamifyResponse(async (event, responseStream) => {
  responseStream.setContentType('text/plain');
  await pipeline(Readable.from(lines(event.titles)), responseStream);
});
