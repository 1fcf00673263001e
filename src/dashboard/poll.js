// Asking again and again, gently: not while the tab is hidden, one question at
// a time, and after a failure less and less often.

import { connection } from './api.js';

export function poll(ask, every) {
  let timer = null, busy = false, stopped = false, failures = 0;

  async function run() {
    clearTimeout(timer);
    timer = null;
    if (busy || stopped || document.hidden) {
      return;
    }
    busy = true;
    let wait;
    try {
      const next = await ask();
      failures = 0;
      wait = typeof next === 'number' ? next : every;
    } catch (problem) {
      failures++;
      wait = Math.max((problem.retryAfter || 0) * 1000,
        Math.min(30000, 1000 * 2 ** Math.min(failures, 5)))
        * (0.8 + 0.4 * Math.random());
    }
    busy = false;
    if (!stopped) {
      timer = setTimeout(run, wait);
    }
  }

  const seen = () => {
    if (document.hidden) {
      clearTimeout(timer);
      timer = null;
    } else {
      run();
    }
  };

  document.addEventListener('visibilitychange', seen);
  window.addEventListener('online', run);
  connection.again.add(run);
  run();

  return {
    now: run,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
      window.removeEventListener('online', run);
      connection.again.delete(run);
    },
  };
}
