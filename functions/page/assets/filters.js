// What the log is narrowed down by: a form, and a chip for everything that is set.

import { freshId, h } from "./dom.js";
import { fromInput, localTime, plain, toInput } from "./format.js";
import { FILTERS } from "./route.js";
import { button } from "./ui.js";
import { EFFECTS, EVENTS, FAMILIES, ODDITIES, STATUSES } from "./words.js";

const FIELDS = {
  from: { label: "From", moment: true },
  to: { label: "To", moment: true },
  family: { label: "Family", choices: FAMILIES },
  event: { label: "Event", hints: EVENTS },
  effect: { label: "Effect", choices: Object.keys(EFFECTS) },
  oddity: { label: "Not counted", choices: Object.keys(ODDITIES) },
  status: { label: "Status", hints: STATUSES },
  asset: { label: "Asset", hints: ["BTC", "ETH", "TRX", "USDT_TRON"] },
  chain: { label: "Chain", hints: ["BITCOIN", "ETHEREUM", "TRON"] },
  entity: { label: "Entity", hint: "uid, or type:uid" },
  hash: { label: "Hash" },
  reference: { label: "Reference" },
  address: { label: "Address" },
  customer: { label: "Customer", hint: "uid" },
  account: { label: "Account", hint: "uid" },
  sub_account: { label: "Sub-account", hint: "uid" },
};

/// What the address bar says and no filter is called is shown by its own name: the API refuses it, and says what was meant.
const field = (name) => (FILTERS.includes(name) ? FIELDS[name] : { label: plain(name) });

export const filterLabel = (name) => field(name).label;

/// A time that is none is shown as it is given.
function shown(name, value) {
  const date = new Date(value);
  return field(name).moment && !Number.isNaN(date.getTime()) ? localTime(date) : value;
}

function control(name, id) {
  const { moment, choices, hints, hint } = FIELDS[name];
  if (choices) {
    const options = choices.map((value) => h("option", { value }, value));
    return h("select", { id, name }, h("option", { value: "" }, "any"), options);
  }
  if (moment) return h("input", { id, name, type: "datetime-local", step: "1" });
  const list = hints ? `${id}-hints` : null;
  const input = h("input", { id, name, list, placeholder: hint, autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
  return hints ? [input, h("datalist", { id: list }, hints.map((value) => h("option", { value })))] : input;
}

/// The form. `change(name, value)` is called for every field that is changed.
export function filterForm(change) {
  const fields = FILTERS.map((name) => {
    const id = freshId(name);
    return h("div", { class: "field" }, h("label", { for: id }, FIELDS[name].label), control(name, id));
  });
  const form = h("form", { class: "filters", "aria-label": "Filters" }, fields);
  form.addEventListener("change", ({ target }) => {
    change(target.name, FIELDS[target.name].moment ? fromInput(target.value) : target.value.trim());
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  const show = (params) => {
    for (const name of FILTERS) {
      const value = params[name] ?? "";
      form.elements[name].value = FIELDS[name].moment ? toInput(value) : value;
    }
  };
  return { form, show };
}

/// One chip for every filter that is set; each takes it away.
export function chips(params, change, clear) {
  const set = Object.keys(params);
  const chip = (name) =>
    h(
      "li",
      { class: "chip" },
      h("span", { class: "muted" }, filterLabel(name)),
      h("span", { class: "id", title: params[name] }, shown(name, params[name])),
      button("×", () => change(name, ""), { "aria-label": `Remove filter ${filterLabel(name)}`, class: "quiet" }),
    );
  if (set.length === 0) return [];
  return [h("ul", { class: "chips", "aria-label": "Filters that are set" }, set.map(chip)), button("Clear all", clear, { class: "small" })];
}
