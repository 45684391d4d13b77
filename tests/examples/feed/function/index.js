// SPDX-License-Identifier: MIT
import { readFile } from 'node:fs/promises';
import { which } from '@acme/dual';
import { inline } from 'marky';
import { paragraph } from 'marky/html';
import slugger from 'slugger';

const { name } = JSON.parse(await readFile(new URL('./package.json', import.meta.url)));

export const handler = async ({ posts }, context) => {
  console.log('%d posts of %s, for %s', posts.length, name, context.functionName);
  return posts.map(({ title, text }) => ({
    slug: slugger(title),
    html: paragraph(inline(text)),
    by: which(),
  }));
};
