// Forms in dialogs.  What is wrong stands beside its field, whether the
// browser or the API found it; what was typed stays until it was taken.

import { $, $$, el, setText } from './dom.js';

let serial = 0;

function say(field, message) {
  const details = field.closest('details');
  if (details) {
    details.open = true;
  }
  let node = $(':scope > .error', field);
  if (!node) {
    node = el('p', { class: 'error', id: `error-${++serial}` });
    field.append(node);
  }
  setText(node, node.textContent && node.textContent !== message
    ? `${node.textContent}; ${message}` : message);
  for (const input of $$('input, select, textarea', field)) {
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', node.id);
  }
}

export function clear(form) {
  $$('.field > .error', form).forEach((node) => node.remove());
  $$('[aria-invalid]', form).forEach((input) => {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-describedby');
  });
  const all = $('.form-error', form);
  all.hidden = true;
  setText(all, '');
}

function focusFirst(form) {
  const first = $('[aria-invalid]', form);
  if (first) {
    first.focus();
  } else {
    $('.form-error', form).scrollIntoView({ block: 'nearest' });
  }
}

const visible = (node) => !node.closest('[hidden]');

// the browser's own rules, for what is asked for

export function check(form) {
  clear(form);
  const wrong = $$('input, select, textarea', form)
    .filter((input) => visible(input) && !input.checkValidity());
  for (const input of wrong) {
    say(input.closest('.field') || form, input.validationMessage);
  }
  focusFirst(form);
  return wrong.length === 0;
}

// "events.names[1]" belongs to events.names, or else to events

export function fieldOf(form, path) {
  for (let p = path.replace(/\[\d+\]/g, ''); p; p = p.replace(/\.?[^.]*$/, '')) {
    const field = $$('[data-field]', form)
      .find((node) => node.dataset.field === p);
    if (field && visible(field)) {
      return field;
    }
  }
  return null;
}

export function problem(form, p) {
  const left = [];
  for (const { field, message } of p.errors || []) {
    const node = fieldOf(form, field);
    if (node) {
      say(node, message);
    } else {
      left.push(`${field} ${message}`);
    }
  }
  if (left.length || !(p.errors || []).length) {
    const all = $('.form-error', form);
    setText(all, left.length ? left.join('; ') : p.message);
    all.hidden = false;
  }
  focusFirst(form);
}

// A dialog with a form: send(form) is called when the form is valid, and the
// dialog closes when that went well.

export function dialogForm(dialog, send, { onCancel = () => {} } = {}) {
  const form = $('form', dialog);
  const submit = $('.submit', form);

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (form.ariaBusy === 'true' || !check(form)) {
      return;
    }
    form.ariaBusy = 'true';
    submit.disabled = true;
    try {
      await send(form);
      dialog.close();
    } catch (p) {
      if (!('status' in p)) {
        throw p;
      }
      problem(form, p);
    } finally {
      form.ariaBusy = 'false';
      submit.disabled = false;
    }
  });

  for (const button of $$('.cancel', dialog)) {
    button.addEventListener('click', () => {
      onCancel();
      dialog.close();
    });
  }
  $('.close', dialog)?.addEventListener('click', () => dialog.close());
  return form;
}

// A question with one dangerous answer

let answer = null;
const box = $('#confirm-dialog');
const question = dialogForm(box, () => answer());

export function confirm(title, text, button, act) {
  clear(question);
  setText($('#h-confirm'), title);
  setText($('#confirm-text'), text);
  setText($('.submit', box), button);
  answer = act;
  box.showModal();
}
