// Two drawings: events per run, and a line of the last minutes.

import { count, plural } from './text.js';

const space = 'http://www.w3.org/2000/svg';

function svg(name, attrs, ...children) {
  const node = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attrs)) {
    node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// newest run at the right; what was rejected stands on what was sent

export function runChart(runs) {
  const list = [...runs].reverse();
  const width = 720, height = 130, base = 108, top = 14;
  const most = Math.max(1, ...list.map((r) => r.sent + r.rejected));
  const step = width / Math.max(list.length, 12);
  const bar = Math.min(36, step * 0.7);
  const scale = (base - top) / most;
  const sent = list.reduce((n, r) => n + r.sent, 0);
  const rejected = list.reduce((n, r) => n + r.rejected, 0);
  const root = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img',
    class: 'chart', 'aria-label': `${plural(list.length, 'run')}: ${count(sent)} events sent, ${count(rejected)} rejected` },
  svg('line', { x1: 0, y1: base + 0.5, x2: width, y2: base + 0.5, class: 'axis' }),
  svg('text', { x: 0, y: 10 }, `${count(most)} events`));

  list.forEach((run, i) => {
    const x = i * step + (step - bar) / 2;
    const ok = run.sent * scale;
    const bad = run.rejected ? Math.max(2, run.rejected * scale) : 0;
    root.append(svg('g', {},
      svg('title', {}, `Run ${run.number}: ${count(run.sent)} sent, ${count(run.rejected)} rejected`),
      svg('rect', { x, y: top, width: bar, height: base - top, class: 'hit' }),
      svg('rect', { x, y: base - ok, width: bar, height: ok, class: 'sent' }),
      svg('rect', { x, y: base - ok - bad, width: bar, height: bad, class: 'rejected' }),
      svg('text', { x: x + bar / 2, y: base + 16, class: 'tick' }, String(run.number))));
  });
  return root;
}

export function legend() {
  return svg('svg', { viewBox: '0 0 200 16', class: 'legend', 'aria-hidden': 'true' },
    svg('rect', { x: 0, y: 3, width: 10, height: 10, class: 'sent' }),
    svg('text', { x: 15, y: 12 }, 'sent'),
    svg('rect', { x: 60, y: 3, width: 10, height: 10, class: 'rejected' }),
    svg('text', { x: 75, y: 12 }, 'rejected'));
}

// values of the last minutes, each at its time (seconds)

export function sparkline(points, label) {
  const width = 240, height = 44;
  const root = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img',
    class: 'spark', 'aria-label': label, preserveAspectRatio: 'none' });
  if (points.length < 2) {
    return root;
  }
  const from = points[0][0];
  const span = Math.max(1, points.at(-1)[0] - from);
  const most = Math.max(1e-9, ...points.map(([, value]) => value));
  const at = points.map(([time, value]) =>
    `${((time - from) / span * width).toFixed(1)},${(height - 3 - value / most * (height - 8)).toFixed(1)}`);
  root.append(svg('polygon', { points: `0,${height} ${at.join(' ')} ${width},${height}`, class: 'area' }),
    svg('polyline', { points: at.join(' '), class: 'line' }));
  return root;
}
