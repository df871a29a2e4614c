// One box for whatever somebody has at hand: it guesses what a text is, and offers by what to search.

import { freshId, h } from "./dom.js";
import { EFFECTS, EVENTS, FAMILIES, STATUSES } from "./words.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const EVENT_ID = /^[0-9a-f]{32}(-\d+)?$/;
const HASH = /^(0x)?[0-9a-f]{64}$/i;
const ADDRESS = /^(0x[0-9a-f]{40}|(bc|tb|ltc)1[0-9a-z]{20,80}|[1-9A-HJ-NP-Za-km-z]{26,44})$/i;
const TYPED = /^(transaction|account|asset|address|customer):.+/i;

/// What a text may be, the likeliest first: `[parameter, what it is called, value]`.
function guesses(given) {
  if (!given) return [];
  const word = given.toLowerCase();
  const found = [];
  const guess = (when, name, label, value = given) => {
    if (when && !found.some(([known, , same]) => known === name && same === value)) found.push([name, label, value]);
  };
  guess(EVENT_ID.test(given), "id", "Open the event");
  guess(EVENTS.includes(word), "event", "Event", word);
  const family = FAMILIES.find((name) => [word, `${word}s`, `${word}es`].includes(name));
  guess(family, "family", "Family", family);
  guess(Object.hasOwn(EFFECTS, word), "effect", "Effect", word);
  guess(STATUSES.includes(word.replaceAll(" ", "_")), "status", "Status", word.replaceAll(" ", "_"));
  guess(TYPED.test(given), "entity", "Entity");
  guess(HASH.test(given), "hash", "Hash");
  guess(ADDRESS.test(given), "address", "Address");
  guess(UUID.test(given), "entity", "Entity");
  guess(UUID.test(given), "customer", "Customer");
  guess(/^[A-Z][A-Z0-9_]{1,15}$/i.test(given), "asset", "Asset", given.toUpperCase());
  EVENTS.filter((event) => event.includes(word)).slice(0, 3).forEach((event) => guess(true, "event", "Event", event));
  guess(true, "reference", "Reference");
  guess(true, "entity", "Entity");
  guess(given.length > 8, "hash", "Hash");
  guess(given.length > 8, "address", "Address");
  guess(true, "customer", "Customer");
  return found.slice(0, 8);
}

/// The box. `choose(parameter, value)` is called with what was picked; `has(parameter, value)` says whether some
/// event is found by it; `begun(text)` finds what begins with a text, as guesses.
export function searchBox({ choose, has, begun }) {
  const list = freshId("guesses");
  const options = h("ul", { role: "listbox", id: list, class: "guesses", "aria-label": "Search by", hidden: true });
  const input = h("input", {
    type: "search",
    id: "search",
    placeholder: "Hash, uid, reference …",
    role: "combobox",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-label": "Search the log",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": list,
  });
  let found = [];
  let active = 0;

  /// A list that cuts an id short ends it with an ellipsis.
  const given = () => input.value.trim().replace(/…$/, "");

  const pick = (index) => {
    const [name, , value] = found[index];
    input.value = "";
    offer();
    choose(name, value);
  };

  /// Takes the likeliest guess by which something is found; where nothing is, what begins so; else the likeliest of all.
  async function pickFound() {
    const asked = found;
    const text = given();
    const hits = await Promise.all(asked.map(([name, , value]) => name === "id" || has(name, value).catch(() => false)));
    const isFound = hits.includes(true);
    const begin = isFound ? [] : await begun(text).catch(() => []);
    // Somebody has typed on, or picked meanwhile.
    if (asked !== found) return;
    if (begin.length > 0) offer(begin);
    if (begin.length <= 1) pick(Math.max(hits.indexOf(true), 0));
  }

  function mark(index) {
    active = (index + found.length) % found.length;
    [...options.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
    input.setAttribute("aria-activedescendant", options.children[active].id);
  }

  function offer(guessed = guesses(given())) {
    found = guessed;
    options.replaceChildren(
      ...found.map(([, label, value], index) =>
        h(
          "li",
          {
            role: "option",
            id: `${list}-${index}`,
            // Before `blur` closes the list.
            onmousedown: (event) => (event.preventDefault(), pick(index)),
          },
          h("span", { class: "muted" }, label),
          h("span", { class: "id" }, value),
        ),
      ),
    );
    options.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    if (found.length > 0) mark(0);
    else input.removeAttribute("aria-activedescendant");
  }

  const close = () => {
    options.hidden = true;
    input.setAttribute("aria-expanded", "false");
  };

  input.addEventListener("input", () => offer());
  input.addEventListener("focus", () => offer());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const isOpen = !options.hidden;
    if (event.key === "ArrowDown" && isOpen) mark(active + 1);
    else if (event.key === "ArrowUp" && isOpen) mark(active - 1);
    else if (event.key === "Enter" && found.length > 0) active === 0 ? pickFound() : pick(active);
    else if (event.key === "Escape") {
      if (isOpen && input.value) close();
      else input.blur();
      event.stopPropagation();
    } else return;
    event.preventDefault();
  });
  return h("div", { class: "search", role: "search" }, input, h("kbd", { "aria-hidden": "true" }, "/"), options);
}
