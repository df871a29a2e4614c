// Building DOM. Everything that came with a webhook is hostile: it only ever becomes a text node or an
// attribute's value, never markup.

const SVG = "http://www.w3.org/2000/svg";

// Characters that turn the direction of what follows can make an address read as another one; control characters
// and separators of lines hide what stands there.
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export const visible = (text) =>
  String(text).replace(ACTING, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

export function add(parent, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(visible(child)));
  }
  return parent;
}

export function fill(parent, ...children) {
  parent.replaceChildren();
  return add(parent, ...children);
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : visible(value));
  }
  return element;
}

export const h = (tag, attributes, ...children) =>
  add(set(document.createElement(tag), attributes), ...children);

export const svg = (tag, attributes, ...children) =>
  add(set(document.createElementNS(SVG, tag), attributes), ...children);

export const byId = (id) => document.getElementById(id);

let ids = 0;
export const freshId = (prefix) => `${prefix}-${(ids += 1)}`;

const shown = new WeakMap();

/// Makes `container` show `items`. What has not changed stays the very same element, so that focus, selection
/// and scroll position survive an update.
export function reconcile(container, items, keyOf, build) {
  const old = new Map([...container.children].map((child) => [child.dataset.key, child]));
  let at = container.firstElementChild;
  const fresh = [];
  for (const item of items) {
    const key = keyOf(item);
    const json = JSON.stringify(item);
    let element = old.get(key);
    const before = element;
    if (!element || shown.get(element) !== json) {
      element = build(item);
      element.dataset.key = key;
      shown.set(element, json);
      if (before) {
        if (at === before) at = before.nextElementSibling;
        replaceKeepingFocus(before, element);
      } else {
        fresh.push(element);
      }
    }
    old.delete(key);
    if (element === at) at = at.nextElementSibling;
    else if (element.nextElementSibling !== at || element.parentNode !== container) container.insertBefore(element, at);
  }
  for (const gone of old.values()) gone.remove();
  return fresh;
}

const FOCUSABLE = "a[href], button, input, select, textarea, summary";

export function replaceKeepingFocus(before, after) {
  const focusable = [...before.querySelectorAll(FOCUSABLE)];
  const index = focusable.indexOf(document.activeElement);
  const open = [...before.querySelectorAll("details")].map((details) => details.open);
  before.replaceWith(after);
  [...after.querySelectorAll("details")].forEach((details, i) => {
    details.open = open[i] ?? details.open;
    // What is in it is made when it opens, and has to be there now: the focus may be in it.
    if (details.open) details.dispatchEvent(new Event("toggle"));
  });
  if (index >= 0) after.querySelectorAll(FOCUSABLE)[index]?.focus({ preventScroll: true });
}
