// JSON whose numbers keep their digits: 0.450000000000000001 must not become 0.45.

import { h } from "./dom.js";
import { head } from "./format.js";

/// A number that JavaScript would spell otherwise is kept as it was written, where the browser can. Some thousand
/// levels deep it gives up; the receiver's answers have at most 130, as it reads no body of more than 127.
export function parse(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context && JSON.rawJSON && context.source !== String(value)
      ? JSON.rawJSON(context.source)
      : value,
  );
}

export const keepsDigits = typeof JSON.rawJSON === "function";

export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^\s[\]{}:,"]+/g;

/// Levels below this one are indented no further: a body of 60,000 nested arrays would take gigabytes.
const DEEPEST = 20;

/// The tokens of the first `most` characters; the last one may be cut.
function first(text, most) {
  const tokens = [];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (index >= most) break;
    tokens.push(head(token, most - index));
  }
  return tokens;
}

/// Indents the first `most` characters of the text itself, instead of reading and writing it: order, repeated
/// fields and digits stay. Nothing where the text is no JSON.
export function pretty(text, most) {
  if (!isJson(text)) return null;
  const tokens = first(text, most);
  const out = [];
  let depth = 0;
  const line = () => `\n${"  ".repeat(Math.min(depth, DEEPEST))}`;
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

/// Neighbouring texts become one node: a long body has many commas.
function merge(parts) {
  const merged = [];
  for (const part of parts) {
    if (typeof part === "string" && typeof merged.at(-1) === "string") merged[merged.length - 1] += part;
    else merged.push(part);
  }
  return merged;
}
