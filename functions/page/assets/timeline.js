// A transaction's way through its states, as a picture. The list beside it says the same in words.

import { freshId, svg } from "./dom.js";
import { day, duration, plain } from "./format.js";
import { outcome, STEPS } from "./words.js";

/// Narrower than this between two stations, their names would touch.
const ROOM = 150;
const WIDEST = 210;

const happened = (event) => new Date(event.occurred_at ?? event.recorded_at);

/// An event is a station where it moved the transaction on, a flag where it stands beside the status, and a
/// tick where it changed nothing.
function shape(event) {
  if (event.effect === "stale" || event.effect === "repeat" || event.effect === "ambiguous") return "tick";
  if (STEPS.includes(event.status)) return "station";
  return outcome(event.status) === "warning" ? "flag" : "tick";
}

/// Stations in the order of time, each with what came between it and the next; and the way that lies ahead.
function stations(transaction, events) {
  const ordered = [...events].sort((a, b) => happened(a) - happened(b));
  const way = [];
  const early = [];
  for (const event of ordered) {
    const kind = shape(event);
    if (kind === "station") way.push({ status: event.status, event, at: happened(event), beside: [] });
    else (way.at(-1)?.beside ?? early).push({ kind, event });
  }
  if (way.length === 0 && early.length > 0) {
    way.push({ status: transaction.status, event: null, at: happened(early[0].event), beside: [] });
  }
  way[0]?.beside.unshift(...early);
  return [...way, ...ahead(transaction)];
}

/// What usually follows. Only a transaction that is on its way has something ahead.
function ahead({ status, kind }) {
  if (outcome(status) === "good" || outcome(status) === "bad" || kind === "contract") return [];
  const usual = kind === "deposit" ? ["pending", "awaiting_confirmation", "success"] : ["awaiting_confirmation", "success"];
  return usual
    .filter((step) => STEPS.indexOf(step) > STEPS.indexOf(status))
    .map((step) => ({ status: step, event: null, isAhead: true, beside: [] }));
}

const MARKS = {
  good: "M-5 0l3.5 4 6.5-8",
  bad: "M-4-4l8 8M4-4l-8 8",
};

function mark(station, x, y) {
  const { status, event, isAhead } = station;
  const kind = event?.effect === "conflict" ? "conflict" : isAhead ? "ahead" : outcome(status);
  const group = svg("g", { transform: `translate(${x} ${y})`, class: `station ${kind}` });
  if (kind === "conflict") {
    group.append(svg("path", { d: "M0-15 15 0 0 15-15 0z", class: "body" }), svg("path", { d: "M0-7V2M0 6v.5", class: "sign" }));
  } else if (kind === "bad") {
    group.append(svg("rect", { x: -11, y: -11, width: 22, height: 22, rx: 3, class: "body" }), svg("path", { d: MARKS.bad, class: "sign" }));
  } else if (kind === "warning") {
    group.append(svg("path", { d: "M0-13 13 10H-13z", class: "body" }), svg("path", { d: "M0-5V2M0 5.500v.5", class: "sign" }));
  } else {
    group.append(svg("circle", { r: kind === "good" ? 12 : 10, class: "body" }));
    if (kind === "good") group.append(svg("path", { d: MARKS.good, class: "sign" }));
    else if (kind === "open") group.append(svg("circle", { r: 3.5, class: "core" }));
  }
  if (event) group.append(svg("title", null, `${event.event}: ${event.why}`));
  return group;
}

const time = (date) => `${day(date)} ${date.toTimeString().slice(0, 8)}`;

const text = (x, y, anchor, of, words) => svg("text", { x, y, "text-anchor": anchor, class: of }, words);

const took = (from, until) => (until - from === 0 ? "same time" : duration(until - from));

/// Where everything is: stations beside each other, and what came between them on the line.
function across(way, width) {
  const gap = Math.min(WIDEST, (width - ROOM) / Math.max(1, way.length - 1));
  const y = 46;
  const x = (along) => ROOM / 2 + along * gap;
  const places = way.map((station, i) => {
    const room = i + 1 < way.length ? 1 : 0.5;
    return {
      at: [x(i), y],
      took: [x(i + 0.5), y + 17],
      beside: station.beside.map((_, n) => [x(i + 0.06 + (room * (n + 1)) / (station.beside.length + 1)), y]),
      end: [x(i + (station.beside.length > 0 ? room : 0)), y],
    };
  });
  return { places, width, height: 112 };
}

/// The same from top to bottom, where there is no room: everything has its own line of text.
function down(way, width) {
  const x = 20;
  let y = 22;
  const places = way.map((station, i) => {
    const at = [x, y];
    y += 34;
    const beside = station.beside.map(() => [x, (y += 22) - 8]);
    const distance = [x + 22, (y += 20) - 4];
    if (i + 1 < way.length) y += 22;
    return { at, took: distance, beside, end: beside.at(-1) ?? at };
  });
  return { places, width, height: y };
}

/// The picture, `width` wide: across where there is room, else down.
export function timeline(transaction, events, width) {
  const way = stations(transaction, events);
  const isAcross = way.length * ROOM <= width;
  const { places, height } = isAcross ? across(way, width) : down(way, width);
  const title = freshId("way");
  const said = way.filter(({ isAhead }) => !isAhead).map(({ status }) => plain(status)).join(", then ");
  const legs = way.map((station, i) => leg(station, way[i + 1], places[i], places[i + 1], isAcross));
  const marks = way.map((station, i) => [mark(station, ...places[i].at), words(station, ...places[i].at, isAcross)]);
  return svg(
    "svg",
    { role: "img", "aria-labelledby": title, class: "way", viewBox: `0 0 ${width} ${height}`, width, height },
    svg("title", { id: title }, `The steps of this ${transaction.kind}: ${said}. The list of events below says the same.`),
    legs,
    marks,
  );
}

/// The line to the next station, how long it took, and what came on it.
function leg(station, next, place, nextPlace, isAcross) {
  const [x1, y1] = place.at;
  const [x2, y2] = nextPlace?.at ?? place.end;
  const line = svg("line", { x1, y1, x2, y2, class: next ? `leg ${next.isAhead ? "ahead" : ""}` : "leg after" });
  const distance = next && !next.isAhead ? text(...place.took, isAcross ? "middle" : "start", "took", `${isAcross ? "" : "↓ "}${took(station.at, next.at)}`) : null;
  const beside = station.beside.map(({ kind, event }, n) => (kind === "flag" ? flag : tick)(...place.beside[n], event, isAcross));
  return [line, distance, beside];
}

function flag(x, y, event, isAcross) {
  return svg(
    "g",
    { transform: `translate(${x} ${y})`, class: "flag" },
    svg("path", { d: isAcross ? "M0 0V-28" : "M0 0H9" }),
    svg("path", { d: "M0 0h12l-3 4.5 3 4.5H0z", class: "cloth", transform: isAcross ? "translate(0 -28)" : "translate(9 -4.5)" }),
    isAcross ? text(16, -19, "start", "said", plain(event.status)) : text(24, 4, "start", "said", plain(event.status)),
    svg("title", null, `${event.event}: ${event.why}`),
  );
}

function tick(x, y, event, isAcross) {
  return svg(
    "g",
    { transform: `translate(${x} ${y})`, class: `tick ${event.effect}` },
    svg("path", { d: isAcross ? "M0-6V6" : "M-6 0H6" }),
    isAcross ? null : text(22, 4, "start", "happened", `${event.effect}: ${plain(event.status ?? event.event)}`),
    svg("title", null, `${event.effect}: ${event.event}`),
  );
}

function words(station, x, y, isAcross) {
  const { status, event, at, isAhead } = station;
  const lines = [["name", plain(status)]];
  if (event?.effect === "conflict") lines.push(["note", "contradicts"]);
  lines.push(["when", isAhead ? "expected" : time(at)]);
  return lines.map(([of, line], n) =>
    isAcross ? text(x, y + 32 + n * 15, "middle", of, line) : text(x + 22, y - 2 + n * 15, "start", of, line),
  );
}
