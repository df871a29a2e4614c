// How moments, durations, identifiers and amounts are written. An amount is a text and stays one.

import { h, visible } from "./dom.js";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n) => String(n).padStart(2, "0");

const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;

export function day(date, now = new Date()) {
  const year = date.getFullYear() === now.getFullYear() ? "" : ` ${date.getFullYear()}`;
  return `${date.getDate()} ${MONTHS[date.getMonth()]}${year}`;
}

export const localTime = (date) => `${day(date)} ${clock(date)}`;

/// Local time; the moment as the API says it is in the title.
export function moment(iso, { millis = false } = {}) {
  if (!iso) return h("span", { class: "muted" }, "–");
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return h("span", null, iso);
  const fraction = millis ? `.${String(date.getMilliseconds()).padStart(3, "0")}` : "";
  return h(
    "time",
    { datetime: iso, title: iso, class: "time" },
    h("span", { class: "day" }, day(date)),
    ` ${clock(date)}${fraction}`,
  );
}

export function duration(milliseconds, most = 2) {
  const ms = Math.abs(milliseconds);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(first, first + most)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(" ");
}

export function ago(iso) {
  const distance = Date.now() - new Date(iso).getTime();
  return distance < 1000 ? "just now" : `${duration(distance, 1)} ago`;
}

/// The whole identifier is in the text, so that it can be found and copied; the style shortens it.
export const identifier = (text) => h("span", { class: "id", title: text }, text);

export const amount = (text, asset) =>
  text === null || text === undefined
    ? null
    : h("span", { class: "amount" }, text, asset ? h("span", { class: "asset" }, ` ${asset}`) : null);

export const isZero = (text) => /^-?0*(\.0*)?$/.test(text);

export const number = (n) => n.toLocaleString("en");

export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/// Further deliveries of one event are kept off its count.
const MOST_DELIVERIES = 256;

export const times = (n) => (n < MOST_DELIVERIES ? `×${n}` : `×${MOST_DELIVERIES}+`);

export const countDeliveries = (n) => (n < MOST_DELIVERIES ? count(n, "delivery", "deliveries") : `${MOST_DELIVERIES} or more deliveries`);

export const plain = (word) => visible(word).replaceAll("_", " ");

/// The first part of a text. A character of two halves is not cut in two.
export const head = (text, length) => (text.length <= length ? text : text.slice(0, length).replace(/[\ud800-\udbff]$/, ""));

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/// What `<input type=datetime-local>` takes and gives is local time.
export function toInput(iso) {
  const date = new Date(iso ?? "");
  if (Number.isNaN(date.getTime())) return "";
  const ymd = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${ymd}T${clock(date)}`;
}

export const fromInput = (local) => (local ? new Date(local).toISOString().replace(".000Z", "Z") : "");

export function hexDump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}
