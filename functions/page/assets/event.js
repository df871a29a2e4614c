// One event: what came, what it did, who was told, and telling them again.

import { actionsTable } from "./actions.js";
import { act, get, path } from "./api.js";
import { fill, h, replaceKeepingFocus } from "./dom.js";
import { amount, capital, count, hexDump, identifier, moment, plain } from "./format.js";
import { block, keepsDigits, pretty } from "./json.js";
import { about } from "./log.js";
import { button, choice, askWhy, copyButton, facts, heading, section, toast, trouble } from "./ui.js";
import { DEEDS, EFFECTS, effectBadge, familyDot, statusBadge } from "./words.js";

const POLL = 5000;

export function show({ main, route, env, signal, every, title, onKey }) {
  const { id } = route.params;
  const resend = button("Resend…", ask, { class: "primary", hidden: true, title: "Tell everybody of this event again (r)" });
  const head = heading("Event", resend);
  let content = h("div", null, h("p", { class: "muted loading" }, "Reading …"));
  let shown = "";
  const reading = { form: "pretty" };
  fill(main, head, content);
  onKey("r", () => resend.hidden || resend.click());

  async function load() {
    try {
      const event = await get(env, path("events", id), {}, signal);
      // What is on the page stays untouched while nothing has changed: somebody may be reading or selecting.
      const json = JSON.stringify(event);
      if (json === shown) return;
      shown = json;
      const next = h("div", null, view(event, reading));
      replaceKeepingFocus(content, next);
      content = next;
      head.querySelector("h1").replaceChildren(familyDot(event.family), event.event);
      resend.hidden = false;
      title(`${event.event} · ${event.status ?? event.effect}`);
    } catch (error) {
      if (signal.aborted || shown) return;
      const next = trouble(error, load);
      content.replaceWith(next);
      content = next;
    }
  }

  async function ask() {
    const done = await askWhy({
      env,
      title: "Tell of this event again?",
      lines: [
        "Programs and people get the same notification once more, marked as sent again. Nothing is counted again: state and balances stay as they are.",
      ],
      verb: "Resend",
      run: (why, key) => act(env, `${path("events", id)}/resend`, why, key),
    });
    if (!done) return;
    toast("Told again.");
    load();
  }

  load();
  every(POLL, load);
}

function view(event, reading) {
  return [summary(event), h("div", { class: "columns" }, body(event, reading), h("div", null, told(event), deliveries(event), actions(event)))];
}

function summary(event) {
  return h(
    "div",
    { class: "card" },
    h("p", { class: "effect-line" }, effectBadge(event.effect), h("strong", null, ` ${capital(plain(event.why))}. `), h("span", { class: "muted" }, EFFECTS[event.effect])),
    facts([
      ["about", about(event)],
      ["status", statusBadge(event.status)],
      ["amount", amount(event.amount, event.asset) ?? event.asset],
      ["happened", event.occurred_at && moment(event.occurred_at, { millis: true })],
      ["received", moment(event.received_at, { millis: true })],
      ["recorded", moment(event.recorded_at, { millis: true })],
      ["id", identifier(event.id)],
    ]),
  );
}

/// `reading.form` stays as it was chosen when the page is brought up to date.
function body(event, reading) {
  if (event.raw === undefined) {
    return section("Body", h("p", { class: "muted" }, "It is no text: its bytes."), block(hexDump(event.raw_base64), "Body, as bytes"));
  }
  const indented = pretty(event.raw);
  const raw = block(event.raw, "Body, byte for byte");
  const forms = { pretty: indented ? block(indented, "Body, indented") : raw, raw };
  const holder = h("div", null, forms[reading.form]);
  const choose = (form) => {
    reading.form = form;
    fill(holder, forms[form]);
  };
  const which = indented
    ? choice("Form of the body", [["pretty", "Pretty"], ["raw", "Raw"]], reading.form, choose)
    : h("p", { class: "muted" }, "It is no JSON.");
  return section("Body", h("div", { class: "bar" }, which, copyButton(() => event.raw)), holder);
}

function told({ told: { programs, people }, effect }) {
  const nobody = !programs && !people;
  return section(
    "Notification",
    nobody ? h("p", null, `Nobody was told: its effect is ${effect}.`) : [toldPeople(people), toldPrograms(programs)],
  );
}

function toldPrograms(programs) {
  const heading = h("h3", null, "Programs were told");
  if (programs === true) return h("div", { class: "told" }, heading, h("p", { class: "muted" }, "In JSON, with the body above."));
  const text = JSON.stringify(programs);
  const rounded = keepsDigits ? null : h("p", { class: "muted" }, "This browser rounds long numbers; the body above is exact.");
  return h("div", { class: "told" }, h("div", { class: "bar" }, heading, copyButton(() => text)), rounded, block(pretty(text), "What programs were told"));
}

function toldPeople(people) {
  if (!people) return h("div", { class: "told" }, h("h3", null, "People were not told"), h("p", { class: "muted" }, "Events of this type are routine for them."));
  return h(
    "div",
    { class: "told" },
    h("h3", null, "People were told"),
    facts([
      ["subject", people.subject],
      ["SMS", people.sms],
    ]),
    h("pre", { class: "letter", tabindex: "0", "aria-label": "The e-mail's text" }, people.text),
  );
}

function deliveries({ deliveries: n, delivery_ids: ids = [] }) {
  const said = n > 1 ? `${capital(count(n, "delivery", "deliveries"))} of the same content, counted as one event.` : "It was delivered once.";
  return section("Deliveries", h("p", null, said), h("ul", { class: "ids" }, ids.map((id) => h("li", null, identifier(id)))));
}

function actions({ actions: done = [] }) {
  if (done.length === 0) return section("Actions", h("p", { class: "muted" }, "Nobody has done anything about it."));
  const list = actionsTable("Actions on this event", { target: false });
  list.show(done, (action) => action.id);
  return section("Actions", h("p", { class: "muted" }, `${capital(DEEDS.resend)} ${count(done.length, "time")}.`), list.element);
}
