// Balances by account and asset; and the ledger: every change of one, and the webhook that made it.

import { get } from "./api.js";
import { fill, freshId, h } from "./dom.js";
import { amount, fromInput, identifier, isZero, moment, toInput } from "./format.js";
import { go, to, toEntity, toEvent } from "./route.js";
import { button, heading, pages, table } from "./ui.js";
import { kindName } from "./words.js";

const quantity = (text) => h("span", { class: isZero(text) ? "amount zero" : "amount" }, text);

/// The questions that both pages take: whose, and as of when.
function toolbar(view, params, names) {
  const field = (label, attributes) => {
    const id = freshId("field");
    return h("div", { class: "field" }, h("label", { for: id }, label), h("input", { id, autocomplete: "off", spellcheck: "false", ...attributes }));
  };
  const fields = {
    account: () => field("Account", { name: "account", value: params.account, placeholder: "all", class: "wide" }),
    asset: () => field("Asset", { name: "asset", value: params.asset, placeholder: "all" }),
    at: () => field("As of", { name: "at", type: "datetime-local", step: "1", value: toInput(params.at) }),
  };
  const form = h("form", { class: "filters inline", "aria-label": "Which balances" }, names.map((name) => fields[name]()), params.at ? button("Now", () => go(to(view, { ...params, at: "" })), { class: "small" }) : null);
  form.addEventListener("change", ({ target }) => {
    go(to(view, { ...params, [target.name]: target.name === "at" ? fromInput(target.value) : target.value.trim() }));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

/// How things stood at a moment is asked for once: it does not change. How they will stand does.
const pace = ({ at }, every) => (at && new Date(at) < new Date() ? (work) => work : every);

const asOf = ({ at }) => (at ? h("p", { class: "note" }, "Values as of ", moment(at), ".") : null);

const accountLink = (account) =>
  account === "unattributed" ? h("span", { class: "muted" }, "unattributed") : h("a", { href: toEntity({ type: "account", uid: account }) }, identifier(account));

export function showBalances({ main, route, env, signal, every, title }) {
  const { at } = route.params;
  const ledger = (balance) => to("ledger", { account: balance.account, asset: balance.asset, at });
  const column = (name) => ({ name, class: "number", cell: (balance) => quantity(balance[name.toLowerCase()]) });
  const list = table("Balances", [
    { name: "Account", class: "whole", cell: (balance) => accountLink(balance.account) },
    { name: "Asset", cell: (balance) => h("a", { href: ledger(balance), class: "opens", "aria-label": `Ledger of ${balance.asset} in ${balance.account}` }, balance.asset) },
    { name: "Balance", class: "number strong", cell: (balance) => quantity(balance.balance) },
    ...["Received", "Sent", "Fees", "Pending"].map(column),
  ]);
  const shown = pages({
    load: async (cursor) => {
      const { balances, cursor: next } = await get(env, "balances", { ...route.params, cursor }, signal);
      return { items: balances, cursor: next };
    },
    show: (items) => list.show(items, (balance) => `${balance.account} ${balance.asset}`),
    empty: "No money has moved yet.",
    every: pace(route.params, every),
    signal,
  });
  title(at ? "Past balances" : "Balances");
  fill(
    main,
    heading("Balances"),
    toolbar("balances", route.params, ["account", "at"]),
    asOf(route.params),
    h("p", { class: "lead muted" }, "Balance is received minus sent. Fees are shown, but not subtracted; pending has not arrived yet. Balances say what the webhooks have reported, not what is on the chain."),
    h("div", { class: "list" }, list.element),
    shown.foot,
  );
}

const PARTS = ["received", "sent", "fees", "pending"];

const lines = (line, of) => PARTS.filter((part) => !isZero(line.change[part])).map((part) => h("div", { class: "part" }, of(part)));

const signed = (text) => h("span", { class: text.startsWith("-") ? "amount" : "amount plus" }, text);

export function showLedger({ main, route, env, signal, every, title }) {
  const { account, asset, at } = route.params;
  const list = table("Ledger lines, newest first", [
    { name: "Recorded", class: "col-time", cell: (line) => moment(line.recorded_at) },
    { name: "Asset", cell: (line) => line.asset },
    { name: "Change", class: "number", cell: (line) => lines(line, (part) => [h("span", { class: "muted" }, `${part} `), signed(line.change[part])]) },
    { name: "Before", class: "number", cell: (line) => lines(line, (part) => amount(line.before[part])) },
    { name: "After", class: "number strong", cell: (line) => lines(line, (part) => amount(line.after[part])) },
    { name: "Rule", cell: (line) => h("code", null, line.rule) },
    { name: "Transaction", cell: (line) => line.transaction && [h("span", { class: "muted" }, `${kindName(line.kind, line.transaction.type)} `), h("a", { href: toEntity(line.transaction, line.kind) }, identifier(line.transaction.uid))] },
    { name: "Webhook", cell: (line) => line.event_id && h("a", { href: toEvent(line.event_id), class: "opens" }, identifier(line.event_id)) },
  ]);
  const shown = pages({
    load: async (cursor) => {
      const { ledger, cursor: next } = await get(env, "ledger", { ...route.params, cursor }, signal);
      return { items: ledger, cursor: next };
    },
    show: (items) => list.show(items, (line) => `${line.asset} ${line.shard} ${line.number}`),
    empty: "Nothing has changed this balance.",
    every: pace(route.params, every),
    signal,
  });
  title(`Ledger of ${asset ?? "an account"}`);
  fill(
    main,
    h("nav", { class: "crumbs", "aria-label": "Breadcrumb" }, h("a", { href: to("balances", { at }) }, "Balances"), " / ", h("a", { href: to("balances", { account, at }) }, identifier(account ?? ""))),
    heading(asset ? `Ledger of ${asset}` : "Ledger"),
    toolbar("ledger", route.params, ["account", "asset", "at"]),
    asOf(route.params),
    h("p", { class: "lead muted" }, "Every change, and the webhook behind it. A balance is stored in up to four parts, and a transaction always posts to the same one: before and after are the values of that part."),
    h("div", { class: "list" }, list.element),
    shown.foot,
  );
}
