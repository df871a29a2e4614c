// What the log is narrowed down by: a form, and a chip for everything that is set.

import { freshId, h } from "./dom.js";
import { fromInput, localTime, toInput } from "./format.js";
import { FILTERS } from "./route.js";
import { button } from "./ui.js";
import { EFFECTS, EVENTS, FAMILIES, STATUSES } from "./words.js";

const FIELDS = {
  from: { label: "From", moment: true },
  to: { label: "To", moment: true },
  family: { label: "Family", choices: FAMILIES },
  event: { label: "Event", hints: EVENTS },
  effect: { label: "Effect", choices: Object.keys(EFFECTS) },
  status: { label: "Status", hints: STATUSES },
  asset: { label: "Asset", hints: ["BTC", "ETH", "TRX", "USDT_TRON"] },
  entity: { label: "Entity", hint: "uid, or type:uid" },
  hash: { label: "Hash" },
  reference: { label: "Reference" },
  address: { label: "Address" },
  customer: { label: "Customer", hint: "uid" },
};

export const filterLabel = (name) => FIELDS[name].label;

const shown = (name, value) => (FIELDS[name].moment ? localTime(new Date(value)) : value);

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
  const set = FILTERS.filter((name) => params[name]);
  const chip = (name) =>
    h(
      "li",
      { class: "chip" },
      h("span", { class: "muted" }, FIELDS[name].label),
      h("span", { class: "id", title: params[name] }, shown(name, params[name])),
      button("×", () => change(name, ""), { "aria-label": `Remove filter ${FIELDS[name].label}`, class: "quiet" }),
    );
  if (set.length === 0) return [];
  return [h("ul", { class: "chips", "aria-label": "Filters that are set" }, set.map(chip)), button("Clear all", clear, { class: "small" })];
}
