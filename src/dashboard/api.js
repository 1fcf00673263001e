// The API, and what is known about the way to it.  A problem of the API is a
// Problem with its field errors; without a way there, or with a 503, the
// banner says so until an answer comes.

import { $, setText } from './dom.js';

const base = new URL($('meta[name=ctseg-api]').content, document.baseURI);

export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.errors = body.errors || [];
    this.retryAfter = retryAfter;
  }

  // does trying again help?

  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

// Each question that goes unanswered counts until it is answered: one that
// another answer hides would make the banner come and go.

export const connection = {
  problems: new Map(),                  // by path
  again: new Set(),                     // to be called when somebody asks

  failed(path, problem) {
    this.problems.set(path, problem);
    this.show();
  },

  good(path) {
    if (this.problems.size === 0) {
      return;
    }
    this.problems.delete(path);
    for (const [other, problem] of this.problems) {
      if (problem.status === 0) {
        this.problems.delete(other);
      }
    }
    this.show();
  },

  // another screen asks other questions

  forget() {
    this.problems.clear();
    this.show();
  },

  show() {
    const [problem] = this.problems.values();
    $('#connection').hidden = !problem;
    if (problem) {
      setText($('#connection').firstElementChild, problem.status === 0
        ? 'The connection to the server is lost. It is tried again by itself.'
        : `${problem.message} It is tried again by itself.`);
    }
  },
};

$('#connection button').addEventListener('click', () => {
  connection.again.forEach((call) => call());
});

let writable = true;

export const canWrite = () => writable;

export function setWritable(value) {
  writable = value;
  $('#readonly').hidden = value;
  document.documentElement.classList.toggle('readonly', !value);
  for (const button of document.querySelectorAll('button[data-write]')) {
    button.disabled = !value;
  }
}

export async function call(method, path, body, headers = {}) {
  const what = path.split('?')[0];
  let answer, text;
  const options = { method, headers: { Accept: 'application/json', ...headers },
    cache: 'no-store', signal: AbortSignal.timeout(30000) };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers['Content-Type'] = 'application/json';
  }
  try {
    answer = await fetch(new URL(path, base), options);
    text = await answer.text();
  } catch {
    const problem = new Problem(0,
      { detail: 'There is no connection to the server. What you typed is kept; try again.' });
    connection.failed(what, problem);
    throw problem;
  }

  let json = {};
  try {
    json = text ? JSON.parse(text) : {};
  } catch { /* a page of nginx or of a proxy */ }

  if (answer.ok) {
    connection.good(what);
    return json;
  }

  const problem = new Problem(answer.status, json,
    Number(answer.headers.get('Retry-After')) || 0);
  if (!problem.passing) {
    connection.good(what);
  } else if (method === 'GET') {
    connection.failed(what, problem);
  }
  if (answer.status === 403 && method !== 'GET') {
    setWritable(false);
  }
  throw problem;
}

export const get = (path) => call('GET', path);

// all of a list, page by page

export async function all(path) {
  const first = await get(`${path}?per_page=40`);
  const rest = await Promise.all(Array.from(
    { length: Math.max(0, first.pages - 1) },
    (_, i) => get(`${path}?per_page=40&page=${i + 2}`)));
  return [first, ...rest].flatMap((page) => page.items);
}
