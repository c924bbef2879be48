// The waterfall: exchanges by connection on a common axis of time, with their phases and messages.
import { useEffect, useMemo, useState } from "preact/hooks";
import { html } from "../html.js";
import { List } from "./list.js";
import { duration, hostOf, outcome, pathOf, plural, readable, visible } from "../format.js";

const HEIGHT = 26;
export const PHASES = ["request", "dns", "connect", "tls", "first byte", "response"];

export function Waterfall({ session, rows, selected, onSelect, onOpen, printing }) {
  const lines = useMemo(() => byConnection(session, rows), [session, rows]);
  const extent = useMemo(() => extentOf(session, rows), [session, rows]);
  const [zoom, setZoom] = useState(null);
  useEffect(() => setZoom(null), [extent]);
  const [from, to] = zoom || extent;
  const change = (factor) => {
    const focus = selected >= 0 && rows[selected] !== undefined ? session.offset(rows[selected]) : (from + to) / 2;
    const middle = factor < 1 && (focus < from || focus > to) ? (from + to) / 2 : Math.min(to, Math.max(from, focus));
    setZoom(bounded(middle - (middle - from) * factor, middle + (to - middle) * factor, extent));
  };
  const move = (share) => setZoom(bounded(from + (to - from) * share, to + (to - from) * share, extent));
  const places = useMemo(() => new Map(rows.map((i, place) => [i, place])), [rows]);
  const selectedLine = useMemo(() => lines.findIndex((line) => line.i === rows[selected]), [lines, rows, selected]);
  const toPlace = (place, step) => {
    let at = place;
    while (lines[at] && lines[at].i === undefined) at += step || 1;
    return lines[at] ? places.get(lines[at].i) : -1;
  };

  const marks = marksOf(from, to);
  const row = (place, isSelected) => {
    const line = lines[place];
    if (line.i === undefined) {
      return html`<div class="row connection" role="row" key=${`c${place}`}><div role="gridcell" title=${visible(line.connection)}>
        ${visible(line.title)}</div></div>`;
    }
    const i = line.i;
    const [status, look] = outcome(session, i);
    return html`
      <div class=${`row fall${isSelected ? " selected" : ""}`} role="row" id=${`row-${place}`} key=${i} aria-selected=${isSelected}
        onClick=${() => (onSelect(places.get(i)), onOpen(places.get(i)))}>
        <div role="gridcell" class="cell what"><span class=${look}>${status}</span> ${session.method(i)} ${visible(readable(pathOf(session.place(i))))}</div>
        <div role="gridcell" class="cell lane"><${Bar} session=${session} i=${i} from=${from} to=${to} marks=${marks} /></div>
      </div>`;
  };
  const head = html`<div class="row head fall" role="row">
    <div role="columnheader" class="cell what">Exchange</div>
    <div role="columnheader" class="cell lane lane-axis"><div class="axis-labels">${marks.map((mark) => html`
      <span key=${mark} style=${{ left: `${((mark - from) / (to - from)) * 100}%` }}>${label(mark)}</span>`)}</div></div></div>`;
  return html`
    <div class="tools" role="toolbar" aria-label="Time axis">
      <button onClick=${() => change(0.5)}>Zoom in</button>
      <button onClick=${() => change(2)}>Zoom out</button>
      <button onClick=${() => move(-0.5)} aria-label="Earlier">←</button>
      <button onClick=${() => move(0.5)} aria-label="Later">→</button>
      <button onClick=${() => setZoom(null)} disabled=${zoom === null}>Fit</button>
      <ul class="legend">${PHASES.map((name, place) => html`<li key=${name}><span class=${`swatch phase-${place}`}></span>${name}</li>`)}<li><span class="swatch tick"></span>message or event</li></ul>
    </div>
    <${List} label="Waterfall" count=${lines.length} height=${HEIGHT} row=${row} head=${head} selected=${selectedLine} printing=${printing}
      onSelect=${(place) => onSelect(toPlace(place, place < selectedLine ? -1 : 1))} onOpen=${(place) => onOpen(toPlace(place))} empty="No exchange matches." />`;
}

function label(ms) {
  return ms === 0 ? "0" : duration(ms);
}

// Round moments, four to nine of them: 0, 200 ms, 400 ms, …
function marksOf(from, to) {
  const power = 10 ** Math.floor(Math.log10((to - from) / 4));
  const step = power * ([5, 2].find((factor) => (to - from) / (power * factor) >= 4) || 1);
  const marks = [];
  for (let mark = Math.ceil(from / step) * step; mark <= to && marks.length < 20; mark += step) marks.push(mark);
  return marks;
}

function bounded(from, to, [low, high]) {
  const length = Math.min(high - low, Math.max(0.05, to - from));
  const start = Math.min(high - length, Math.max(low, from));
  return [start, start + length];
}

function extentOf(session, rows) {
  let [low, high] = [Infinity, 0];
  for (const i of rows) {
    low = Math.min(low, session.offset(i));
    high = Math.max(high, session.offset(i) + session.length(i));
  }
  return low < high ? [low, high] : [0, 1];
}

// Connections in the order of their first exchanges, each with a line of its own above its exchanges.
function byConnection(session, rows) {
  const groups = new Map();
  for (const i of rows) {
    const number = session.number("connection", i);
    if (!groups.has(number)) groups.set(number, []);
    groups.get(number).push(i);
  }
  const lines = [];
  let number = 0;
  for (const members of groups.values()) {
    members.sort((a, b) => session.start[a] - session.start[b]);
    lines.push({ connection: session.name("connection", members[0]), title: titleOf(session, members, ++number) });
    for (const i of members) lines.push({ i });
  }
  return lines;
}

// Connection 2 · shop.test · HTTP/2 · 18 exchanges
function titleOf(session, members, number) {
  const hosts = [...new Set(members.slice(0, 100).map((i) => hostOf(session.place(i))).filter(Boolean))];
  const version = session.name("version", members[0]);
  const words = [
    `Connection ${number}`,
    hosts.length > 2 ? `${hosts[0]} and ${hosts.length - 1} others` : hosts.join(", "),
    version && `HTTP/${version.replace(/\.0$/, "")}`,
    plural(members.length, "exchange"),
  ];
  return words.filter(Boolean).join(" · ");
}

function Bar({ session, i, from, to, marks }) {
  const [phases, setPhases] = useState(null);
  useEffect(() => {
    let current = true;
    session.detail(i).then((detail) => current && setPhases(detail.phases || null), () => {});
    return () => (current = false);
  }, [session, i]);
  const start = session.offset(i);
  const x = (ms) => Math.min(100, Math.max(0, ((ms - from) / (to - from)) * 100));
  const length = session.length(i);
  const total = (phases || []).reduce((sum, phase) => sum + phase, 0);
  const parts = total > 0 ? phases.map((phase, place) => [phase, place]) : [[length, 5]];
  let at = start;
  return html`
    <svg class="fall-bar" role="img" aria-label=${`${duration(start)} to ${duration(start + length)}`}>
      ${marks.map((mark) => html`<line key=${`m${mark}`} class="grid" x1=${`${x(mark)}%`} x2=${`${x(mark)}%`} y1="0" y2="100%" />`)}
      ${parts.map(([phase, place]) => {
        const [left, right] = [x(at), x((at += phase))];
        if (phase === 0 && total > 0) return null;
        return html`<rect key=${place} class=${`phase-${place}`} x=${`${left}%`} width=${`${Math.max(right - left, left > 0 && left < 100 ? 0.15 : 0)}%`} y="6" height="13"><title>${PHASES[place]}: ${duration(phase)}</title></rect>`;
      })}
      ${session.ticks(i).map((tick, place) => {
        const moment = start + (tick < 0 ? -1 - tick : tick);
        if (moment < from || moment > to) return null;
        return html`<line key=${`t${place}`} class=${`tick ${tick < 0 ? "received" : "sent"}`} x1=${`${x(moment)}%`} x2=${`${x(moment)}%`} y1=${tick < 0 ? 13 : 2} y2=${tick < 0 ? 24 : 13} />`;
      })}
    </svg>`;
}
