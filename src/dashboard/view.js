// One export: definition, progress, runs, rejected events.

import { call, canWrite, get } from './api.js';
import { legend, runChart } from './chart.js';
import { edit, whyNoEdit } from './define.js';
import { $, define, el, keyed, notice, setAttr, setText } from './dom.js';
import { progressWords, statusWhy, stop } from './exports.js';
import { confirm } from './form.js';
import { nickname, onPartners } from './partners.js';
import { poll } from './poll.js';
import { count, data, day, days, duration, frequency, instant, messages, plural,
  typeName } from './text.js';

let id = null, poller = null, now = null, page = 1, drawn = '';

const reasons = { refused: 'refused by Segment', no_id: 'without an id',
  no_name: 'without a name', too_large: 'too large', expired: 'no longer kept',
  damaged: 'damaged in the log', future_time: 'dated ahead' };

function renderExport(e) {
  setText($('#h-view'), `Export to ${nickname(e.partner_id)}`);
  document.title = `${$('#h-view').textContent} · ctseg`;
  define($('#view-definition'), [
    ['Status', [e.status, statusWhy(e)].filter(Boolean).join(', ')],
    ['Type', `${typeName[e.type]} · ${e.format.toUpperCase()}`],
    ['Data', data(e)],
    ['Identifier priority', e.identifier_priority.join(', ')],
    ['Messages', messages(e.mapping)],
    ['Frequency', [frequency(e.frequency), days(e.frequency)].filter(Boolean).join(', ')],
    ['Date to export data', e.frequency.start_date ? day(e.frequency.start_date) : null],
    ['Exported on', day(e.exported_on)],
    ['Next run', e.status === 'PENDING' ? instant(e.next_run_at) : null],
    ['Export', e.id],
  ]);

  const box = $('#view-progress');
  if (!box.firstElementChild) {
    box.append(el('progress', { max: '100', 'aria-label': 'Progress' }),
      el('p', { class: 'figure' }));
  }
  box.firstElementChild.value = e.progress.percent;
  box.firstElementChild.hidden = e.frequency.kind === 'live' || !e.last_run;
  setText(box.lastElementChild, progressWords(e));

  const run = e.last_run;
  define($('#view-run'), !run ? [] : [
    ['Run', `${run.number}, ${run.status}`],
    ['Started', instant(run.started_at)],
    ['Filtered', count(run.filtered)],
    ['Waiting', count(run.waiting)],
    ['Retries', count(run.retries)],
    ['Next attempt', instant(run.retry_at)],
    ['Last error', lastError(run)],
  ]);

  for (const [button, why] of [[$('#view-edit'), whyNoEdit(e)],
    [$('#view-stop'), e.status === 'DONE' || e.status === 'STOPPED' ? `This export is ${e.status}.` : '']]) {
    setAttr(button, 'aria-disabled', why ? 'true' : null);
    setAttr(button, 'title', why || null);
    button.disabled = !canWrite();
  }
}

function lastError(run) {
  return run.last_error ? [run.last_error.status, run.last_error.message,
    instant(run.last_error.at)].filter(Boolean).join(' · ') : '';
}

function renderRuns(runs) {
  const text = JSON.stringify(runs.items.map((r) => [r.number, r.sent, r.rejected]));
  if (text !== drawn) {
    drawn = text;
    $('#view-chart').replaceChildren(...runs.items.length
      ? [legend(), runChart(runs.items)] : []);
  }
  $('#runs-empty').hidden = runs.items.length > 0;
  keyed($('#run-rows'), runs.items, (r) => r.number,
    () => el('tr', {}, ...Array.from({ length: 11 }, (_, i) =>
      el(i ? 'td' : 'th', i ? (i > 3 && i < 10 ? { class: 'n' } : {}) : { scope: 'row' }))),
    (row, r) => [r.number, r.status, instant(r.started_at),
      r.finished_at ? duration((Date.parse(r.finished_at) - Date.parse(r.started_at)) / 1000) : '',
      count(r.sent), count(r.rejected), count(r.filtered), count(r.waiting),
      count(r.batches), count(r.retries), lastError(r)]
      .forEach((value, i) => setText(row.children[i], value)));
}

function renderRejected(list) {
  setText($('#rejected-total'), list.total ? `(${count(list.total)})` : '');
  const retry = list.retry;
  setText($('#rejected-state'), !list.total && !retry ? 'None.' : !retry ? ''
    : retry.state === 'running' ? `Retrying ${plural(retry.events, 'event')}: ${count(retry.sent)} sent, ${count(retry.refused)} refused again`
      : `Last retry ${retry.state}: ${count(retry.sent)} sent, ${count(retry.refused)} refused again`);
  keyed($('#rejected-rows'), list.items, (r) => r.sequence, () => el('li', {},
    el('p', {}, el('strong'), el('span', { class: 'tag paused' }), el('span', { class: 'quiet' })),
    el('p', { class: 'answer' }),
    el('details', {}, el('summary', {}, 'Message'), el('pre', { tabindex: '0' }))),
  (row, r) => {
    const head = row.children[0];
    setText(head.children[0], r.message?.event ?? r.message?.type ?? 'event');
    setText(head.children[1], [reasons[r.reason] ?? r.reason, r.status || ''].join(' ').trim());
    setText(head.children[2], `run ${r.run} · ${instant(r.at)}`);
    setText(row.children[1], r.answer);
    setText($('pre', row), JSON.stringify(r.message, null, 2));
  });
  $('#rejected-pages').hidden = list.pages <= 1;
  setText($('#rejected-info'), `Page ${count(list.page)} of ${count(list.pages)}`);
  $('#rejected-prev').disabled = list.page <= 1;
  $('#rejected-next').disabled = list.page >= list.pages;
  $('#rejected-retry').disabled = !canWrite() || !list.items.length;
  $('#rejected-purge').disabled = !canWrite() || !list.items.length;
}

async function ask() {
  const of = id;
  try {
    const [e, runs, rejected] = await Promise.all([get(`exports/${of}`),
      get(`exports/${of}/runs?per_page=20`),
      get(`exports/${of}/rejected?per_page=10&page=${page}`)]);
    if (of !== id) {
      return 0;
    }
    now = e;
    renderExport(e);
    renderRuns(runs);
    renderRejected(rejected);
    return e.status === 'RUNNING' || rejected.retry?.state === 'running' ? 2000 : 5000;
  } catch (problem) {
    if (problem.status === 404) {
      setText($('#h-view'), 'There is no such export');
    }
    throw problem;
  }
}

const refresh = () => poller?.now();

export function show(next) {
  if (next !== id) {
    id = next;
    page = 1;
    drawn = '';
    now = null;
    setText($('#h-view'), 'Export');
    for (const selector of ['#view-definition', '#view-run', '#view-progress',
      '#view-chart', '#run-rows', '#rejected-rows']) {
      $(selector).replaceChildren();
    }
  }
  poller?.stop();
  poller = poll(ask, 5000);
}

export function hide() {
  poller?.stop();
  poller = null;
}

onPartners(() => now && renderExport(now));

$('#view-edit').addEventListener('click', () => now && edit(now, refresh));
$('#view-stop').addEventListener('click', () => now && stop(now, refresh));
$('#rejected-prev').addEventListener('click', () => { page--; refresh(); });
$('#rejected-next').addEventListener('click', () => { page++; refresh(); });
$('#rejected-retry').addEventListener('click', async () => {
  try {
    await call('POST', `exports/${id}/rejected/retry`);
    notice('The rejected events are sent once more');
    refresh();
  } catch (problem) {
    notice(problem.message, 'bad');
  }
});
$('#rejected-purge').addEventListener('click', () =>
  confirm('Purge rejected events?', 'They are forgotten and cannot be sent any more. The counts of the runs stay.', 'Purge', async () => {
    await call('DELETE', `exports/${id}/rejected`);
    notice('The rejected events are purged');
    refresh();
  }));
