// The differences of two sessions: by severity and endpoint, each with both exchanges side by side.
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { count, duration, outcome, plural, visible } from "../format.js";
import { Message } from "./detail.js";
import { copy, quoted } from "../copy.js";
import { textOf } from "../filter/select.js";
import { lines, mediaType, placeTest } from "../pretty.js";

const TONES = { breaking: "bad", changed: "warn", info: "muted" };
const FIRST = 200;
const HEADINGS = { breaking: "Breaking", changed: "Changed", info: "For information" };

export function Findings({ session, printing }) {
  const diff = session.index.diff;
  const [severity, setSeverity] = useState("");
  const [most, setMost] = useState(FIRST);
  const [said, setSaid] = useState("");
  const found = severity ? diff.findings.filter((one) => one.severity === severity) : diff.findings;
  const shown = printing ? found : found.slice(0, most);
  const put = async (text) => setSaid((await copy(text)) ? "Copied." : "The browser did not allow that.");
  const numbers = diff.summary;
  return html`
    <section class="page" aria-label="Differences">
      ${session.index.notes.map((note) => html`<p class="notice" key=${note}>${note}</p>`)}
      <h2>${visible(diff.headline)}${Object.values(numbers.bySeverity).reduce((sum, number) => sum + number, 0) > diff.findings.length ? ` (${plural(diff.findings.length, "finding")})` : ""}</h2>
      <dl class="facts">${["A", "B"].map((letter, side) => html`
        <div key=${letter}><dt>${letter}</dt><dd>${visible(diff.names[side])}, ${plural(numbers.exchanges[letter.toLowerCase()], "exchange")}${
          diff.cutOff[side] ? html` <span class="warn">${visible(diff.cutOff[side])}</span>` : null}</dd></div>`)}
        <div><dt>Ignored</dt><dd>${count(numbers.ignored)} by rules, ${count(numbers.noise)} as noise, ${count(numbers.baseline)} accepted by the baseline</dd></div>
      </dl>
      <div class="tools">${[["", "all"], ...Object.keys(TONES).filter((name) => diff.findings.some((one) => one.severity === name)).map((name) => [name, name])].map(([name, title]) => html`
        <button class="chip" key=${name} aria-pressed=${severity === name} onClick=${() => setSeverity(name)}>${title} ${count(diff.findings.filter((one) => !name || one.severity === name).length)}</button>`)}
        <span class="note" role="status">${said}</span></div>
      ${groupsOf(shown).map(({ title, members, heading }) => html`
        <div key=${title + members[0].fingerprints[0]}>
          ${heading ? html`<h2 class=${TONES[members[0].severity]}>${heading}</h2>` : null}
          <h3 class="group">${visible(title)}</h3>
          ${members.map((finding) => html`<${Finding} key=${finding.fingerprints[0] + finding.path} session=${session} finding=${finding} put=${put} />`)}
        </div>`)}
      ${found.length > shown.length ? html`<p><button onClick=${() => setMost(most + FIRST)}>Show ${Math.min(FIRST, found.length - most)} more of ${count(found.length - most)}</button></p>` : null}
      ${diff.same ? html`<p class="good">Nothing differs.</p>` : html`<${Accept} diff=${diff} put=${put} />`}
      ${diff.ignored.length ? html`<h2>Ignore rules</h2><ul>${diff.ignored.map(([rule, reason, number]) => html`
        <li key=${rule}><code>${visible(rule)}</code> ${reason ? `(${visible(reason)}) ` : ""}<span class=${number ? "" : "warn"}>${number ? `hid ${count(number)}` : "hid nothing"}</span></li>`)}</ul>` : null}
      ${diff.remarks.length ? html`<h2>Remarks</h2><ul>${diff.remarks.map((text) => html`<li key=${text}>${visible(text)}</li>`)}</ul>` : null}
    </section>`;
}

// In the order of the findings, which is that of their severity: an endpoint may have several groups.
function groupsOf(findings) {
  const groups = [];
  const known = new Map();
  let before = "";
  for (const finding of findings) {
    const { endpoints, endpointCount } = finding;
    const title = endpointCount > 1 ? `${endpointCount} endpoints: ${endpoints.slice(0, 4).join(", ")}${endpointCount > 4 ? ", …" : ""}` : endpoints[0];
    const key = `${finding.severity} ${title}`;
    if (!known.has(key)) groups.push(known.set(key, { title, members: [], heading: finding.severity === before ? "" : HEADINGS[finding.severity] }).get(key));
    before = finding.severity;
    known.get(key).members.push(finding);
  }
  return groups;
}

function Accept({ diff, put }) {
  const all = `mockrec diff ${quoted(diff.names[0])} ${quoted(diff.names[1])} -o baseline.json`;
  return html`<h2>Accept</h2>
    <p class="note">Write what differs now to a baseline, and compare with <code>--baseline baseline.json</code> from then on:</p>
    <div class="copyable"><code class="wrap">${visible(all)}</code><button onClick=${() => put(all)}>Copy</button></div>`;
}

function Finding({ session, finding, put }) {
  const [open, setOpen] = useState(false);
  const { kind, path, a, b, occurrences, values, severity, rows } = finding;
  const times = occurrences > 1 ? `× ${count(occurrences)}${values > 1 ? `, ${count(values)} different values` : ""}` : "";
  const accepted = finding.fingerprints.map((one) => JSON.stringify({ fingerprint: one, reason: "" })).join(",\n");
  return html`
    <div class="finding">
      <button aria-expanded=${open} onClick=${() => setOpen(!open)}>
        <span class=${`severity ${TONES[severity]}`}>${severity}</span>
        <span class="wrap"><code>${visible(path)}</code> ${kind === path ? "" : kind}${finding.nearest ? html` <span class="muted">nearest: ${visible(finding.nearest)}</span>` : null}</span>
        <span class="muted">${times} ${open ? "▾" : "▸"}</span>
        <span class="values"><code class="a"><span class="muted">A </span>${visible(a)}</code><code class="b"><span class="muted">B </span>${visible(b)}</code></span>
      </button>
      ${open ? html`
        <div>
          ${finding.ignore ? html`<div class="copyable"><code class="wrap">--ignore ${visible(quoted(finding.ignore))}</code>
            <button onClick=${() => put(`--ignore ${quoted(finding.ignore)}`)}>Copy</button></div>` : null}
          <div class="copyable"><span>Accept in a baseline: <code>${finding.fingerprints.slice(0, 3).join(", ")}${finding.fingerprints.length > 3 ? ", …" : ""}</code></span>
            <button onClick=${() => put(accepted)}>Copy</button></div>
          ${rows.some((row) => row !== null) ? html`<div class="sides">${[0, 1].map((side) => html`<div key=${side}>${
            rows[side] === null ? html`<p class="note">${["A", "B"][side]}: ${/^only in/.test(finding.path) ? "no such exchange" : "not in this report"}</p>`
              : html`<${Side} session=${session} finding=${finding} side=${side} />`}</div>`)}</div>` : null}
        </div>` : null}
    </div>`;
}

function Side({ session, finding, side }) {
  const i = finding.rows[side];
  const [state, setState] = useState(null);
  useEffect(() => {
    let current = true;
    look(session, finding, side).then((found) => current && setState(found), () => {});
    return () => (current = false);
  }, [session, finding, side]);
  const [status, tone] = outcome(session, i);
  const title = html`<h3>${["A", "B"][side]}: <span class=${`${tone}${finding.kind === "status" ? " marked" : ""}`}>${status}</span>${" "}
    ${session.name("method", i)} <span class="wrap">${visible(session.place(i))}</span> <span class="muted">${duration(session.duration(i))}</span></h3>`;
  if (!state) return html`${title}<p class="note">unpacking …</p>`;
  const { detail, message, marked, field } = state;
  const request = message === "request";
  return html`${title}
    ${request ? html`<${Message} session=${session} title="Request" head=${detail.request} marked=${marked} markedField=${field} />` : null}
    <${Message} session=${session} title="Response" head=${detail.response} marked=${request ? null : marked} markedField=${request ? null : field} />`;
}

// What the side shows: the detail, and which lines and header fields the finding is about.
async function look(session, finding, side) {
  const detail = await session.detail(finding.rows[side]);
  const match = /^(?:(request|response)\.)?([a-z]+)(?::(.*))?$/s.exec(finding.path) || [];
  const message = match[1] || "response";
  const value = match[3] || "";
  const found = { detail, message, marked: null, field: null };
  if (["header", "trailer", "cookie"].includes(match[2])) {
    const names = match[2] === "cookie" ? ["cookie", "set-cookie"] : [value.toLowerCase()];
    found.field = (name) => names.includes(name.toLowerCase());
  } else if (match[2] === "json") {
    const text = textOf(await session.body(detail[message]?.body));
    const place = placeTest(value, text);
    found.marked = (line) => place.test(line.path);
  } else if (["text", "body", "form", "xml", "event"].includes(match[2])) {
    const other = finding.rows[1 - side];
    const head = other === null ? null : (await session.detail(other))[message];
    const body = head?.body ? await session.body(head.body) : null;
    const known = new Set(body ? lines(textOf(body), mediaType(head)).lines.map((line) => line.text) : []);
    found.marked = (line) => !known.has(line.text);
  }
  return found;
}
