// The few things that every screen does with elements.  Text goes in as text,
// never as markup, and an element that would not change is not touched.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) =>
  [...root.querySelectorAll(selector)];

export function setText(node, text) {
  text = String(text ?? '');
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

export function setAttr(node, name, value) {
  if (value === null || value === undefined || value === false) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

// el('p', { class: 'x' }, 'text', child, ...)

export function el(name, attrs = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attrs)) {
    setAttr(node, key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

export function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

// Rows by key: one that stays is updated where it stands and keeps its focus,
// only new ones are made, only those that moved are moved.

export function keyed(parent, items, key, make, update) {
  const old = new Map([...parent.children].map((row) => [row.dataset.key, row]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = String(key(item));
    let row = old.get(id);
    old.delete(id);
    if (!row) {
      row = make(item);
      row.dataset.key = id;
    }
    update(row, item);
    if (row === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(row, place);
    }
  }
  for (const row of old.values()) {
    row.remove();
  }
}

// pairs of a <dl>; those without a value are left out

export function define(dl, pairs) {
  keyed(dl, pairs.filter(([, value]) => value !== null && value !== ''),
    ([name]) => name,
    ([name]) => el('div', {}, el('dt', {}, name), el('dd')),
    (row, [, value]) => setText(row.lastElementChild, value));
}

export function notice(text, kind = 'good') {
  const close = el('button', { type: 'button', 'aria-label': 'Dismiss' }, '×');
  const node = el('p', { class: `notice ${kind}` }, el('span', {}, text), close);
  const end = () => node.remove();
  close.addEventListener('click', end);
  $('#notices').replaceChildren(node);
  if (kind === 'good') {
    setTimeout(end, 12000);
  }
}
