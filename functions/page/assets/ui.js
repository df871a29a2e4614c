// The parts that several pages are built from.

import { isPassing, Problem, Unreachable } from "./api.js";
import * as auth from "./auth.js";
import { add, byId, fill, freshId, h, reconcile } from "./dom.js";
import { capital } from "./format.js";
import { ENVIRONMENTS } from "./words.js";

/// Says something to who listens instead of looking.
export function announce(text) {
  byId("announcer").textContent = text;
}

export function toast(text) {
  const shown = h("p", { class: "toast" }, text);
  byId("toasts").append(shown);
  setTimeout(() => shown.remove(), 6000);
}

export function heading(text, ...beside) {
  return h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, text), ...beside);
}

export const button = (label, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, label);

/// Copies `text()`; the button itself says that it did.
export function copyButton(text, label = "Copy") {
  const self = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      self.textContent = "Copied";
      announce("Copied.");
    } catch {
      self.textContent = "Not allowed";
    }
    setTimeout(() => (self.textContent = label), 1500);
  }, { class: "small" });
  return self;
}

/// A refusal in words, and what can be done about it.
export function trouble(error, retry) {
  return h(
    "div",
    { class: "trouble", role: "alert" },
    h("p", null, h("strong", null, headline(error)), " ", error.message),
    error.status === 401 && auth.isOn() ? button("Sign in", auth.leave) : retry ? button("Try again", retry) : null,
  );
}

function headline(error) {
  if (error.status === 401) return auth.isOn() ? "Your sign-in has ended." : "The API requires a sign-in, but this page has none configured.";
  if (error.status === 403) return "You are not allowed to do this: a role is missing.";
  if (error.status === 404) return "Not found.";
  if (error instanceof Problem) return "This was refused.";
  return error instanceof Unreachable ? "No answer." : "This cannot be shown.";
}

/// What `make` makes. Where that fails it is said in this place, and everything around it stays.
export function guarded(make, what = "This part") {
  try {
    return make();
  } catch (error) {
    console.error(error);
    return h("p", { class: "trouble" }, `${what} cannot be shown: ${error.message}`);
  }
}

/// Details that are made when they are opened for the first time: a list may have many, each with a long body.
export function unfold(summary, make) {
  let isMade = false;
  const open = () => {
    if (isMade || !self.open) return;
    isMade = true;
    add(self, guarded(make));
  };
  const self = h("details", { ontoggle: open }, h("summary", null, summary));
  return self;
}

/// Columns: `{name, class?, cell(item)}`. The roles are spelled out because on a narrow screen the style makes
/// cards of the rows, and browsers then forget that it is a table.
export function table(label, columns, { rowClass } = {}) {
  const body = h("tbody", { role: "rowgroup" });
  const head = columns.map(({ name, class: of }) => h("th", { role: "columnheader", scope: "col", class: of }, name));
  const element = h(
    "table",
    { role: "table", "aria-label": label },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    body,
  );
  const row = (item) =>
    h(
      "tr",
      { role: "row", class: rowClass?.(item) },
      columns.map(({ name, class: of, cell }) => h("td", { role: "cell", class: of, "data-label": name }, h("span", { class: "cell" }, guarded(() => cell(item))))),
    );
  return { element, show: (items, keyOf) => reconcile(body, items, keyOf, row) };
}

/// Asks for a reason, and for what else `fields` name (`{name, label, type?, hint?, required?}`), and then does something:
/// `run(why, key, values)`. Resolves with the outcome, or null.
export function askWhy({ env, title, lines, verb, fields = [], run }) {
  const id = freshId("why");
  const why = h("textarea", { id, required: true, rows: "3", maxlength: "500", autocomplete: "off" });
  const inputs = fields.map(({ name, type = "text", hint, note, required = false }) =>
    h("input", { id: `${id}-${name}`, name, type, placeholder: hint, required, autocomplete: "off", maxlength: "2000", "aria-describedby": note ? `${id}-${name}-note` : null }),
  );
  const refusal = h("div", { "aria-live": "assertive" });
  const submit = h("button", { type: "submit", class: "primary" }, verb);
  const cancel = button("Cancel", () => dialog.close());
  const form = h(
    "form",
    { novalidate: true },
    h("p", { class: `stamp stamp-${env}` }, h("strong", null, env.toUpperCase()), `: ${ENVIRONMENTS[env]}`),
    h("h2", { id: `${id}-title` }, title),
    lines.map((line) => h("p", null, line)),
    fields.map(({ label, name, note }, place) => [h("label", { for: inputs[place].id }, label), inputs[place], note ? h("p", { id: `${id}-${name}-note`, class: "muted" }, note) : null]),
    // Beside the fields that it is about.
    refusal,
    h("label", { for: id }, "Why? Your reason is recorded with your name."),
    why,
    h("div", { class: "buttons" }, cancel, submit),
  );
  const dialog = h("dialog", { "aria-labelledby": `${id}-title`, class: "ask" }, form);

  return new Promise((resolve) => {
    let outcome = null;
    // An answer that did not arrive may stand for something that was done: the next attempt is the same one.
    let key = null;
    const setBusy = (isBusy) => {
      submit.disabled = isBusy;
      cancel.disabled = isBusy;
      submit.textContent = isBusy ? "…" : verb;
    };
    // What has been asked for is waited for: who leaves now would not learn whether it was done.
    dialog.addEventListener("cancel", (event) => submit.disabled && event.preventDefault());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (submit.disabled) return;
      const missing = inputs.find((input) => input.required && !input.value.trim());
      if (missing) {
        fill(refusal, h("p", { class: "trouble" }, "Fill in this field."));
        missing.setAttribute("aria-invalid", "true");
        missing.focus();
        return;
      }
      if (!why.value.trim()) {
        fill(refusal, h("p", { class: "trouble" }, "Enter a reason: it is recorded with the action."));
        why.setAttribute("aria-invalid", "true");
        why.focus();
        return;
      }
      setBusy(true);
      key ??= crypto.randomUUID();
      try {
        outcome = await run(why.value.trim(), key, Object.fromEntries(inputs.map(({ name, value }) => [name, value.trim()])));
        dialog.close();
      } catch (error) {
        if (!isPassing(error)) key = null;
        fill(refusal, trouble(error));
        setBusy(false);
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(outcome);
    });
    document.body.append(dialog);
    dialog.showModal();
    (inputs[0] ?? why).focus();
  });
}

/// Says in `place` what is wrong, once, however often it is tried again; without an error, that nothing is.
export function report(place, error, retry) {
  const said = error?.message ?? "";
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  fill(place, error ? trouble(error, retry) : null);
}

/// A list that comes in pages. `load(cursor)` gives `{items, cursor}`; `show(items)` makes them visible. All pages
/// that somebody has asked for are read again and again, so that the last is as current as the first.
export function pages({ load, show, empty, every, signal }) {
  const nothing = h("p", { class: "empty", hidden: true }, empty);
  const more = button("Load more", next, { hidden: true });
  const problem = h("div");
  let shown = 0;
  let wanted = 1;
  let isMissing = true;

  async function refresh() {
    try {
      const items = [];
      let cursor = null;
      let read = 0;
      do {
        const page = await load(cursor);
        items.push(...page.items);
        cursor = page.cursor;
        read += 1;
      } while (cursor && read < wanted);
      show(items);
      shown = read;
      isMissing = Boolean(cursor) && read < wanted;
      nothing.hidden = items.length > 0 || Boolean(cursor);
      more.hidden = !cursor;
      report(problem, null);
    } catch (error) {
      // Where all is there that somebody has asked for, the banner is enough.
      if (isMissing && !signal.aborted) report(problem, error, again);
    }
  }

  function next() {
    wanted = shown + 1;
    isMissing = true;
    again();
  }

  const again = every(refresh);
  again();
  return { foot: h("div", { class: "foot" }, nothing, more, problem), again };
}

/// Terms and what they are; a value that is missing is left out.
export const facts = (pairs) =>
  h(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([term, value]) => h("div", null, h("dt", null, capital(term)), h("dd", null, value))),
  );

export function section(title, ...children) {
  const id = freshId("section");
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

/// Buttons of which one is pressed.
export function choice(label, options, chosen, onchoose) {
  const buttons = options.map(([value, text]) =>
    button(text, () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.value === value)));
      onchoose(value);
    }, { "aria-pressed": String(value === chosen), "data-value": value }),
  );
  return h("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}
