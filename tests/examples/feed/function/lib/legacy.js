// SPDX-License-Identifier: MIT
'use strict';
const slugger = require('slugger');
const { which } = require('@acme/dual');

// What is said last is said after the callback: the answer waits for it.
exports.handler = (event, context, callback) => {
  setTimeout(() => console.log('behind the callback'), 1);
  if (!event.title) return callback(new TypeError('a post has a title'));
  callback(null, { slug: slugger(event.title), by: which() });
};
