// One event: what came, what it did, who was notified, and resending it.

import { actionsTable } from "./actions.js";
import { act, get, path } from "./api.js";
import { fill, h, replaceKeepingFocus } from "./dom.js";
import { attemptsSection } from "./endpoints.js";
import { amount, capital, count, countDeliveries, identifier, moment, plain } from "./format.js";
import { isJson, keepsDigits, pretty } from "./json.js";
import { about } from "./log.js";
import { bytes, excerpt, readings } from "./text.js";
import { button, choice, askWhy, copyButton, facts, guarded, heading, section, toast, trouble } from "./ui.js";
import { DEEDS, EFFECTS, effectBadge, familyDot, moneyMarks, statusBadge } from "./words.js";

export function show({ main, route, env, signal, every, title, onKey }) {
  const { id } = route.params;
  const resend = button("Resend…", ask, { class: "primary", hidden: true, title: "Send the notification of this event again (r)" });
  const acknowledge = button("Acknowledge…", askAcknowledge, { hidden: true, title: "Record that you have looked at what is wrong with this event" });
  const head = heading("Event", acknowledge, resend);
  let content = h("div", null, h("p", { class: "muted loading" }, "Reading …"));
  let shown = "";
  let refused = "";
  let urls = new Map();
  const reading = readings();
  fill(main, head, content);
  onKey("r", () => resend.hidden || resend.click());

  async function load() {
    try {
      const event = await get(env, path("events", id), {}, signal);
      // What is on the page stays untouched while nothing has changed: somebody may be reading or selecting.
      const json = JSON.stringify(event);
      if (json === shown) return;
      if (event.attempts.some(({ endpoint }) => !urls.has(endpoint))) {
        const { endpoints } = await get(env, "endpoints", {}, signal);
        urls = new Map(endpoints.map(({ id, url }) => [id, url]));
      }
      const next = h("div", null, view(event, reading, { urls, resend: resendTo }));
      replaceKeepingFocus(content, next);
      content = next;
      shown = json;
      head.querySelector("h1").replaceChildren(familyDot(event.family), event.event);
      resend.hidden = false;
      acknowledge.hidden = !needsAttention(event) || event.acknowledged;
      title(`${event.event} · ${event.status ?? event.effect}`);
    } catch (error) {
      if (signal.aborted || shown || error.message === refused) return;
      refused = error.message;
      const next = trouble(error, now);
      content.replaceWith(next);
      content = next;
    }
  }

  async function ask() {
    await resendTo();
  }

  /// Sends it again: to everybody, or to one endpoint.
  async function resendTo(endpoint) {
    const whom = endpoint ? `Endpoint ${endpoint} gets` : "Endpoints, programs and people get";
    const done = await askWhy({
      env,
      title: endpoint ? `Resend this event to ${endpoint}?` : "Resend this event?",
      lines: [`${whom} the same notification again, marked as resent. Nothing is counted again: state and balances stay as they are.`],
      verb: "Resend",
      run: (why, key) => act(env, `${path("events", id)}/resend`, why, key, { body: endpoint ? { endpoint } : {} }),
    });
    if (!done) return;
    toast("Resent.");
    now();
  }

  async function askAcknowledge() {
    const done = await askWhy({
      env,
      title: "Acknowledge this event?",
      lines: [
        "You have looked at what is wrong with it, as it stands. doctor no longer counts it. Its marks stay, and nothing is counted that was not counted before.",
      ],
      verb: "Acknowledge",
      run: (why, key) => act(env, `${path("events", id)}/acknowledge`, why, key),
    });
    if (!done) return;
    toast("Acknowledged.");
    now();
  }

  const now = every(load);
  now();
}

/// Whether somebody has to look at an event. What changed nothing made no problem.
const needsAttention = ({ effect, oddity }) =>
  ["conflict", "ambiguous", "none"].includes(effect) || (oddity && effect === "applied");

/// Who has looked at what is wrong with an event, when and why.
function acknowledgement({ acknowledged, actions: done = [] }) {
  const last = done.findLast(({ action }) => action === "acknowledge");
  if (!last) return null;
  const by = [h("strong", null, last.who), ", ", moment(last.at), `: ${last.why}`];
  return h("p", { class: "acknowledged" }, acknowledged ? ["Acknowledged by ", by] : ["It has changed since it was acknowledged by ", by]);
}

function view(event, reading, endpoints) {
  const part = (make) => guarded(() => make(event, reading));
  return [part(summary), guarded(() => attemptsSection(event, endpoints)), h("div", { class: "columns" }, part(body), h("div", null, part(notification), part(deliveries), part(actions)))];
}

function summary(event) {
  return h(
    "div",
    { class: "card" },
    h("p", { class: "effect-line" }, effectBadge(event.effect), h("strong", null, ` ${capital(plain(event.why))}. `), h("span", { class: "muted" }, EFFECTS[event.effect])),
    acknowledgement(event),
    facts([
      ["about", about(event)],
      ["status", statusBadge(event.status)],
      ["amount", [amount(event.amount, event.asset) ?? event.asset ?? "–", moneyMarks(event)]],
      ["happened", event.occurred_at && moment(event.occurred_at, { millis: true })],
      ["received", moment(event.received_at, { millis: true })],
      ["recorded", moment(event.recorded_at, { millis: true })],
      ["id", identifier(event.id)],
    ]),
  );
}

function body({ raw, raw_base64: base64 }, readingOf) {
  const reading = readingOf("body");
  if (raw === undefined) {
    return section("Body", h("p", { class: "muted" }, "The body is not text. These are its bytes."), bytes(base64, "Body, as bytes", reading));
  }
  const forms = {
    pretty: () => excerpt(raw, "Body, indented", { write: pretty, reading }),
    raw: () => excerpt(raw, "Body, byte for byte", { reading }),
  };
  const canIndent = isJson(raw);
  reading.form = canIndent ? reading.form ?? "pretty" : "raw";
  const holder = h("div", null, forms[reading.form]());
  const choose = (form) => {
    reading.form = form;
    fill(holder, forms[form]());
  };
  const which = canIndent
    ? choice("Form of the body", [["pretty", "Pretty"], ["raw", "Raw"]], reading.form, choose)
    : h("p", { class: "muted" }, "The body is not JSON.");
  return section("Body", h("div", { class: "bar" }, which, copyButton(() => raw)), holder);
}

function notification({ told: { programs, people }, effect }, reading) {
  const nobody = !programs && !people;
  return section(
    "Notification",
    nobody ? h("p", null, `There is nothing to notify of: the effect is ${effect}.`) : [forPeople(people, reading("people")), forPrograms(programs, reading("programs"))],
  );
}

function forPrograms(programs, reading) {
  const heading = h("h3", null, "For endpoints and programs");
  if (programs === true) return h("div", { class: "block" }, heading, h("p", { class: "muted" }, "In JSON, with the body above."));
  const text = JSON.stringify(programs);
  const rounded = keepsDigits ? null : h("p", { class: "muted" }, "This browser rounds long numbers; the body above is exact.");
  return h("div", { class: "block" }, h("div", { class: "bar" }, heading, copyButton(() => text)), rounded, excerpt(text, "Notification for programs", { write: pretty, reading }));
}

function forPeople(people, reading) {
  if (!people) return h("div", { class: "block" }, h("h3", null, "Not for people"), h("p", { class: "muted" }, "Events of this type are routine."));
  return h(
    "div",
    { class: "block" },
    h("h3", null, "For people"),
    h("p", { class: "muted" }, "Published to whoever has subscribed with e-mail or SMS."),
    facts([
      ["subject", people.subject],
      ["SMS", people.sms],
    ]),
    excerpt(people.text, "The e-mail's text", { reading, of: "letter" }),
  );
}

function deliveries({ deliveries: n, delivery_ids: ids = [] }) {
  const said = n > 1 ? `${capital(countDeliveries(n))} of the same content, counted as one event.` : "It was delivered once.";
  return section("Deliveries", h("p", null, said), h("ul", { class: "ids" }, ids.map((id) => h("li", null, identifier(id)))));
}

function actions({ actions: done = [] }) {
  if (done.length === 0) return section("Actions", h("p", { class: "muted" }, "No actions on this event."));
  const list = actionsTable("Actions on this event", { target: false });
  list.show(done, (action) => action.id);
  const times = (deed) => done.filter(({ action }) => action === deed).length;
  const said = Object.keys(DEEDS).filter(times).map((deed) => `${capital(DEEDS[deed])} ${count(times(deed), "time")}.`);
  return section("Actions", h("p", { class: "muted" }, said.join(" ")), list.element);
}
