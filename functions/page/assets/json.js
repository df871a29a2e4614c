// JSON whose numbers keep their digits: 0.450000000000000001 must not become 0.45.

import { h } from "./dom.js";

/// A number that JavaScript would spell otherwise is kept as it was written, where the browser can.
export function parse(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context && JSON.rawJSON && context.source !== String(value)
      ? JSON.rawJSON(context.source)
      : value,
  );
}

export const keepsDigits = typeof JSON.rawJSON === "function";

const TOKEN = /"(?:\\.|[^"\\])*"|[[\]{}:,]|[^\s[\]{}:,"]+/g;

/// Indents the text itself, instead of reading and writing it: order, repeated fields and digits stay.
/// Nothing where the text is no JSON.
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const tokens = text.match(TOKEN) ?? [];
  const out = [];
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    if (token === "{" || token === "[") {
      depth += 1;
      out.push(token);
      if (next !== "}" && next !== "]") out.push(line());
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (tokens[i - 1] !== "{" && tokens[i - 1] !== "[") out.push(line());
      out.push(token);
    } else if (token === ",") {
      out.push(",", line());
    } else if (token === ":") {
      out.push(": ");
    } else {
      out.push(h("span", { class: kind(token, next) }, token));
    }
  });
  return h("code", null, merge(out));
}

function kind(token, next) {
  if (next === ":") return "json-key";
  if (token.startsWith('"')) return "json-text";
  return /^[-\d]/.test(token) ? "json-number" : "json-word";
}

/// Neighbouring texts become one node: a body of 128 KiB has many commas.
function merge(parts) {
  const merged = [];
  for (const part of parts) {
    if (typeof part === "string" && typeof merged.at(-1) === "string") merged[merged.length - 1] += part;
    else merged.push(part);
  }
  return merged;
}

export const block = (content, label) =>
  h("pre", { class: "code", tabindex: "0", "aria-label": label }, content);
