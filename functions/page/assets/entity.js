// A transaction, account, asset, address or customer: how it stands, and how it came there.

import { get, path } from "./api.js";
import { fill, h, replaceKeepingFocus } from "./dom.js";
import { amount, capital, identifier, isZero, moment, plain } from "./format.js";
import { PLURAL, to, toEntity, toEvent } from "./route.js";
import { members, readings } from "./text.js";
import { button, facts, guarded, heading, report, section, trouble } from "./ui.js";
import { effectBadge, familyDot, kindName, moneyMarks, ODDITIES, outcome, statusBadge } from "./words.js";
import { timeline } from "./timeline.js";

const PAGE = 100;

/// Shown elsewhere on the page, or not by themselves.
const APART = ["uid", "kind", "status", "history", "cursor", "conflict", "contradictions", "disagreements", "oddity", "amount", "asset", "flags", "updated_at"];

export function show({ main, route, env, signal, every, title }) {
  const { type, uid, kind } = route.params;
  const name = kindName(kind, type);
  const head = heading(capital(name ?? "Entity"), identifier(uid ?? ""));
  let content = h("div", null, h("p", { class: "muted loading" }, "Reading …"));
  let shown = "";
  let refused = "";
  let pages = 0;
  let wanted = 1;
  const problem = h("div");
  let redraw = () => {};
  const reading = readings();
  fill(main, head, content);

  const replace = (next) => {
    replaceKeepingFocus(content, next);
    content = next;
  };

  const values = (field, value) =>
    Array.isArray(value) ? members(value, (one) => h("div", null, linked(field, one)), reading(field)) : linked(field, value);

  const page = (cursor) => get(env, path(PLURAL[type] ?? "entities", uid ?? ""), { kind, limit: PAGE, cursor }, signal);

  /// The entity, with all of its history that somebody has asked for.
  async function read() {
    const entity = await page();
    for (pages = 1; pages < wanted && entity.cursor; pages += 1) {
      const { history, cursor } = await page(entity.cursor);
      entity.history.push(...history);
      entity.cursor = cursor;
    }
    return entity;
  }

  async function load() {
    try {
      const entity = await read();
      report(problem, null);
      const json = JSON.stringify(entity);
      if (json === shown) return;
      draw(entity);
      shown = json;
    } catch (error) {
      if (signal.aborted) return;
      if (shown && pages < wanted) report(problem, error, now);
      if (shown || error.message === refused) return;
      refused = error.message;
      replace(error.code === "kind_needed" ? kinds(error) : trouble(error, now));
    }
  }

  /// The uid has several transactions. Which ones stands in the refusal's own words.
  function kinds(error) {
    const known = ["deposit", "transfer", "contract"].filter((one) => error.message.includes(one));
    return h(
      "div",
      { class: "card" },
      h("p", null, "This uid has several transactions: an internal transfer has one on each side. Which one?"),
      h("ul", { class: "buttons start" }, known.map((one) => h("li", null, h("a", { class: "button", href: toEntity({ type, uid }, one) }, capital(one))))),
    );
  }

  function draw(entity) {
    const events = entity.history;
    const isTransaction = type === "transaction";
    title(`${capital(kindName(entity.kind, type))} ${uid.slice(0, 8)} · ${plain(entity.status)}`);
    head.querySelector("h1").textContent = capital(kindName(entity.kind, type));
    const canvas = h("div", { class: "card way-card" });
    redraw = () => isTransaction && canvas.clientWidth > 0 && canvas.replaceChildren(guarded(() => timeline(entity, events, canvas.clientWidth - 24)));
    replace(
      h(
        "div",
        null,
        guarded(() => standing(entity)),
        guarded(() => warnings(entity)),
        guarded(() => contradictions(entity, events)),
        isTransaction ? canvas : null,
        section("What is known", h("div", { class: "card" }, guarded(() => facts(known(entity))))),
        section("What happened", guarded(() => history(events)), more(entity)),
      ),
    );
    redraw();
  }

  function standing(entity) {
    const money = type === "transaction" && entity.amount ? amount(entity.amount, entity.asset) : null;
    const balances = type === "account" ? h("a", { href: to("balances", { account: uid }) }, "Balances") : null;
    return h("div", { class: "standing" }, statusBadge(entity.status), members(entity.flags ?? [], statusBadge, reading("flags")), money && [money, moneyMarks(entity)], balances);
  }

  function known(entity) {
    const says = ([field, value]) => !APART.includes(field) && value !== null && value !== false;
    // The account is one of these; once is enough.
    const isAgain = ([field, value]) => /_id$/.test(field) && value === entity.account;
    const rest = Object.entries(entity).filter((entry) => says(entry) && !isAgain(entry));
    return [...rest.map(([field, value]) => [plain(field), values(field, value)]), ["updated", moment(entity.updated_at)]];
  }

  function more({ cursor }) {
    if (!cursor) return null;
    const next = () => {
      wanted = pages + 1;
      now();
    };
    return h("div", { class: "foot" }, button("Load more", next), problem);
  }

  const now = every(load);
  now();
  const resized = new ResizeObserver(() => redraw());
  resized.observe(main);
  signal.addEventListener("abort", () => resized.disconnect());
}

function warnings({ conflict, contradictions = [], oddity }) {
  return [
    conflict
      ? h("p", { class: "trouble conflict" }, h("strong", null, "Conflict. "), `Its events contradict each other about: ${contradictions.map(plain).join(", ")}. It counts for nothing in the balances until that is resolved.`)
      : null,
    oddity ? h("p", { class: "trouble" }, h("strong", null, "Its amount is not counted. "), `${capital(ODDITIES[oddity] ?? plain(oddity))}.`) : null,
  ];
}

/// An amount without what does not change it.
const digits = (text) => text.replace(/^\+/, "").replace(/^(-?)0+(?=\d)/, "$1").replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

/// The sides of a contradiction, and which events are known to say so. An event shows the asset and account of its
/// transaction, not what it named itself: of those the events are unknown.
function sides({ about, values }, events) {
  if (about === "outcome") {
    const ended = (how) => events.filter(({ status }) => outcome(status) === how);
    return [["it succeeded", ended("good")], ["it did not", ended("bad")]];
  }
  const says = (value) => events.filter(({ amount: said }) => said !== null && said !== undefined && digits(said) === digits(value));
  return values.map((value) => [value, about === "amount" ? says(value) : []]);
}

/// What the events contradict each other about: the values side by side, and who said which.
function contradictions({ disagreements = [] }, events) {
  if (disagreements.length === 0) return null;
  const said = ({ id, event, occurred_at: at }) => h("li", null, h("a", { href: toEvent(id) }, event), " ", moment(at));
  const side = ([value, by]) => h("li", null, h("strong", { class: "amount" }, value), by.length > 0 ? h("ul", { "aria-label": `Events that say ${value}` }, by.map(said)) : null);
  return section(
    "Contradictions",
    disagreements.map((one) =>
      h("div", { class: "card" }, h("h3", null, capital(plain(one.about))), h("ul", { class: "sides", "aria-label": `Values of ${plain(one.about)}` }, sides(one, events).map(side))),
    ),
  );
}

/// What a field says, with the way to more of it.
function linked(field, value) {
  const text = String(value);
  const link = (href) => h("a", { href }, identifier(text));
  if (field === "account" && text !== "unattributed") {
    return [link(toEntity({ type: "account", uid: text })), " ", h("a", { href: to("balances", { account: text }), class: "aside" }, "balances")];
  }
  if (field === "account_id") return link(toEntity({ type: "account", uid: text }));
  if (field === "customer") return link(toEntity({ type: "customer", uid: text }));
  if (field === "hash" || field === "reference") return link(to("log", { [field]: text }));
  if (field === "address" || field === "from_address" || field === "addresses") return link(to("log", { address: text }));
  if (field === "fee") return h("span", { class: isZero(text) ? "amount zero" : "amount" }, text);
  return h("span", { class: "value-text" }, text);
}

function history(events) {
  return h(
    "ol",
    { class: "history", "aria-label": "Events, oldest first" },
    events.map((event) =>
      h(
        "li",
        { class: event.effect },
        moment(event.occurred_at ?? event.recorded_at),
        h("span", { class: "what" }, familyDot(event.family), h("a", { href: toEvent(event.id), class: "opens" }, event.event)),
        h("span", { class: "said" }, effectBadge(event.effect), " ", h("span", { class: "why" }, event.why), moneyMarks(event)),
      ),
    ),
  );
}
