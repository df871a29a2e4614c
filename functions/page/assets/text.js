// Texts of any length and any depth, as webhooks bring them: the first part is shown, and all of it to whoever asks.

import { fill, h } from "./dom.js";
import { count, head, hexDump, number } from "./format.js";
import { button } from "./ui.js";

/// How many characters, bytes and members of a list are shown unasked. A body has up to 128 KiB; indented and
/// coloured that is 200,000 nodes, or 16 MB of indentation. Of a body that is too large there are 4 KiB.
const FIRST = 10_000;
const FIRST_BYTES = 4096;
const FIRST_MEMBERS = 20;

/// What somebody has chosen to see of each part of a view, by the part's name: it outlives bringing it up to date.
export function readings() {
  const kept = new Map();
  return (name) => kept.get(name) ?? kept.set(name, {}).get(name);
}

const block = (content, label, of = "code") => h("pre", { class: of, tabindex: "0", "aria-label": label }, content);

/// A text in a block. `write(text, most)` gives another form of its first `most` characters, where it has one; all
/// of it is shown as it came: one node, however long.
export function excerpt(text, label, { write, reading = {}, of } = {}) {
  const first = () => block(write?.(text, FIRST) ?? head(text, FIRST), label, of);
  if (text.length <= FIRST) return first();
  const note = write ? h("p", { class: "note" }, `All ${count(text.length, "character")} are shown, unchanged.`) : null;
  return partly(`${number(FIRST)} of ${count(text.length, "character")}`, first, () => [note, block(text, label, of)], reading);
}

/// Bytes that are no text, in a block.
export function bytes(base64, label, reading = {}) {
  const all = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const first = () => block(hexDump(all.subarray(0, FIRST_BYTES)), label);
  if (all.length <= FIRST_BYTES) return first();
  return partly(`${number(FIRST_BYTES)} of ${count(all.length, "byte")}`, first, () => block(hexDump(all), label), reading);
}

/// The members of a list, each as `show` shows it.
export function members(list, show, reading = {}) {
  if (list.length <= FIRST_MEMBERS) return list.map(show);
  return partly(`${FIRST_MEMBERS} of ${number(list.length)}`, () => list.slice(0, FIRST_MEMBERS).map(show), () => list.map(show), reading);
}

/// `first()`, and `whole()` once it is asked for.
function partly(said, first, whole, reading) {
  const holder = h("div");
  const showAll = () => {
    reading.all = true;
    fill(holder, whole());
    // The button is gone: who pressed it goes on from here.
    holder.querySelector("[tabindex], a[href]")?.focus({ preventScroll: true });
  };
  const offer = () => h("p", { class: "note" }, `Only the first ${said} are shown. `, button("Show all", showAll, { class: "small" }));
  return fill(holder, ...(reading.all ? [whole()] : [offer(), first()]));
}
