// The table of exchanges.
import { html } from "../html.js";
import { List } from "./list.js";
import { clock, duration, hostOf, outcome, pathOf, plural, readable, size, visible } from "../format.js";

const HEIGHT = 30;

export const COLUMNS = [
  { name: "time", title: "Time", value: (session, i) => session.start[i] },
  { name: "session", title: "In", value: (session, i) => session.number("session", i), optional: true },
  { name: "status", title: "Status", value: (session, i) => session.table.status[i] },
  { name: "method", title: "Method", value: (session, i) => session.method(i) },
  { name: "path", title: "Path", value: (session, i) => session.place(i) },
  { name: "duration", title: "Duration", value: (session, i) => session.table.duration[i] },
  { name: "size", title: "Size", value: (session, i) => session.table.size[i] },
  { name: "rule", title: "Rule", value: (session, i) => session.list("rules", i)[0] || "", optional: true },
  { name: "operation", title: "Operation", value: (session, i) => session.operation(i), optional: true },
  { name: "scope", title: "Scope", value: (session, i) => session.name("scope", i), optional: true },
];

export function columnsOf(session) {
  const has = {
    session: session.names.session.length > 1,
    rule: session.hasRules,
    operation: session.lists.operations.some((names) => names.length),
    scope: session.names.scope.some(Boolean),
  };
  return COLUMNS.filter(({ name, optional }) => !optional || has[name]);
}

export function sorted(session, rows, sort) {
  const column = COLUMNS.find((one) => one.name === sort.replace(/^-/, ""));
  if (!column || sort === "time") return rows;
  const keyed = rows.map((i) => [column.value(session, i), i]);
  const sign = sort[0] === "-" ? -1 : 1;
  keyed.sort(([a, i], [b, j]) => (a < b ? -sign : a > b ? sign : i - j));
  return keyed.map(([, i]) => i);
}

export function Table({ session, rows, selected, onSelect, onOpen, sort, onSort, printing }) {
  const columns = columnsOf(session);
  const longest = longestOf(session, rows);
  const head = html`
    <div class="row head" role="row">
      ${columns.map(({ name, title }) => {
        const direction = sort === name ? "ascending" : sort === `-${name}` ? "descending" : "none";
        return html`<div role="columnheader" class="cell ${name}" aria-sort=${direction} key=${name}>
          <button tabindex="-1" onClick=${() => onSort(sort === name ? `-${name}` : name)}>${title}${
            direction === "none" ? "" : direction === "ascending" ? " ↑" : " ↓"
          }</button>
        </div>`;
      })}
    </div>`;
  const row = (place, isSelected) => {
    const i = rows[place];
    const [status, look] = outcome(session, i);
    const cells = {
      time: clock(session.start[i]),
      status: html`<span class=${look}>${status}</span>`,
      method: session.method(i),
      path: pathCell(session, i),
      duration: html`<span class="bar" style=${{ width: `${share(session, i, longest)}%` }}></span><span>${duration(session.duration(i))}</span>`,
      size: size(session.table.size[i]),
      rule: visible(session.list("rules", i).join(", ")),
      session: visible(session.name("session", i)),
      operation: visible(session.operation(i)),
      scope: visible(session.name("scope", i)),
    };
    return html`
      <div class=${`row${isSelected ? " selected" : ""}`} role="row" id=${`row-${place}`} key=${i} aria-rowindex=${place + 1}
        aria-selected=${isSelected} onClick=${() => (onSelect(place), onOpen(place))}>
        ${columns.map(({ name }) => html`<div role="gridcell" class=${`cell ${name}`} key=${name}>${cells[name]}</div>`)}
      </div>`;
  };
  return html`<${List} label=${plural(rows.length, "exchange")} count=${rows.length} height=${HEIGHT} row=${row} head=${head}
    selected=${selected} onSelect=${onSelect} onOpen=${onOpen} empty="No exchange matches." printing=${printing} />`;
}

function pathCell(session, i) {
  const place = session.place(i);
  const host = hostOf(place);
  const said = session.list("errors", i)[0] || session.cause(i);
  const messages = session.messages(i);
  return html`<span class="path-text" title=${visible(place)}>${visible(readable(pathOf(place)))}</span>
    <span class="muted host">${visible(host)}</span>
    ${messages ? html`<span class="muted"> · ${plural(messages, "message")}</span>` : null}
    ${said ? html`<span class="bad"> · ${visible(said)}</span>` : null}`;
}

// The square root, so that short durations can be told apart.
function share(session, i, longest) {
  const found = session.table.duration[i];
  return found <= 0 || !longest ? 0 : Math.max(1, Math.sqrt(found / longest) * 100);
}

let cached = [null, 0];
function longestOf(session, rows) {
  if (cached[0] !== rows) {
    let longest = 0;
    for (const i of rows) longest = Math.max(longest, session.table.duration[i]);
    cached = [rows, longest];
  }
  return cached[1];
}
