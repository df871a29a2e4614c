// The keyboard: everything that the mouse can do, and a few short cuts.

import { byId, h } from "./dom.js";
import { back } from "./route.js";

const STORED = "keys";

const HELP = [
  ["/", "search the log"],
  ["j or ↓", "next in the list"],
  ["k or ↑", "previous in the list"],
  ["Enter", "open it"],
  ["r", "resend the event that is open"],
  ["Esc", "close, or go back"],
  ["?", "this help"],
];

const stored = (work) => {
  try {
    return work(localStorage);
  } catch {
    return null;
  }
};

const areOn = () => stored((storage) => storage.getItem(STORED)) !== "off";

const isTyping = (element) => element.matches("input, textarea, select") || element.isContentEditable;

function move(step) {
  const links = [...byId("main").querySelectorAll("a.opens")];
  if (links.length === 0) return false;
  const row = (element) => element.closest("tr, li");
  const at = links.findIndex((link) => row(link)?.contains(document.activeElement));
  const next = at < 0 ? links[0] : links[Math.min(links.length - 1, Math.max(0, at + step))];
  next.focus();
  row(next)?.scrollIntoView({ block: "nearest" });
  return true;
}

/// `page(key)`: what the page that is shown does at a key, if anything. `search()` goes to the search box.
export function listen({ page, search }) {
  const keys = {
    "/": search,
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    "?": help,
  };
  byId("help").addEventListener("click", help);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (isTyping(document.activeElement)) document.activeElement.blur();
      else back();
      return;
    }
    if (isTyping(event.target) || !areOn()) return;
    // Arrows belong to whatever can be scrolled by itself.
    if (event.key.startsWith("Arrow") && event.target.closest("pre, .scroll")) return;
    const work = keys[event.key] ?? page(event.key);
    // Where there is no list, the arrows scroll.
    if (work && work() !== false) event.preventDefault();
  });
}

function help() {
  const box = h("input", { type: "checkbox", id: "keys-on" });
  box.checked = areOn();
  box.addEventListener("change", () => stored((storage) => storage.setItem(STORED, box.checked ? "on" : "off")));
  const dialog = h(
    "dialog",
    { "aria-labelledby": "help-title", class: "help" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "help-title" }, "Keyboard"),
      h("dl", { class: "keys" }, HELP.map(([key, does]) => h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, does)))),
      h("p", null, box, h("label", { for: "keys-on" }, " Enable single-key shortcuts (Esc always works)")),
      h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Close")),
    ),
  );
  // `form-action 'none'` may forbid the submission itself; closing needs none.
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
