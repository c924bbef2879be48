// Latency per endpoint: counts, percentiles and a histogram, of the exchanges that the filter selects.
import { useMemo, useState } from "preact/hooks";
import { html } from "../html.js";
import { count, duration, visible } from "../format.js";
import { quote } from "./summary.js";

const BINS = 24;
const MOST = 500;

export function Latency({ session, rows, onFilter, printing }) {
  const [order, setOrder] = useState("count");
  const all = useMemo(() => endpoints(session, rows), [session, rows]);
  const [low, high] = useMemo(() => extent(all), [all]);
  const shown = useMemo(() => [...all].sort((a, b) => b[order] - a[order]).slice(0, printing ? 100 : MOST), [all, order, printing]);
  return html`
    <section class="page" aria-label="Latency">
      ${session.index.sampled ? html`<p class="notice">Computed from the exchanges in this report, which has all the slowest ones: percentiles of all are printed by <code>mockrec stats</code>.</p>` : null}
      <p class="note">Order by ${["count", "failed", "p50", "p90", "p99", "max"].map((name) => html`
        <button class="chip" key=${name} aria-pressed=${order === name} onClick=${() => setOrder(name)}>${name}</button> `)}
      · histograms from ${duration(low)} to ${duration(high)}, logarithmic; the lines are p50, p90 and p99</p>
      <div class="endpoints" role="table" aria-label="Endpoints">
        <div role="row" class="endpoint head">${["Endpoint", "Count", "Failed", "p50", "p90", "p99", "Max", "Distribution"].map((title) => html`<div role="columnheader" key=${title}>${title}</div>`)}</div>
        ${shown.map((one) => html`
          <div role="row" class="endpoint" key=${one.name}>
            <div role="cell" class="name"><button class="link" onClick=${() => onFilter(`endpoint == ${quote(one.name)}`)}>${visible(one.name)}</button></div>
            <div role="cell" data-title="Count">${count(one.count)}</div>
            <div role="cell" data-title="Failed" class=${one.failed ? "bad" : "muted"}>${one.failed ? count(one.failed) : "0"}</div>
            ${["p50", "p90", "p99", "max"].map((name) => html`<div role="cell" data-title=${name} key=${name}>${duration(one[name])}</div>`)}
            <div role="cell" class="chart"><${Histogram} one=${one} low=${low} high=${high} /></div>
          </div>`)}
      </div>
      ${all.length > shown.length ? html`<p class="note">… and ${count(all.length - shown.length)} more endpoints</p>` : null}
      ${all.length === 0 ? html`<p class="note">No exchange with a duration matches.</p>` : null}
    </section>`;
}

function endpoints(session, rows) {
  const groups = new Map();
  for (const i of rows) {
    if (session.duration(i) === null || session.kind(i) === "tunnel" || session.kind(i) === "websocket") continue;
    const number = session.number("endpoint", i);
    let group = groups.get(number);
    if (!group) groups.set(number, (group = { name: session.name("endpoint", i), durations: [], failed: 0 }));
    group.durations.push(session.duration(i));
    if (session.failed(i)) group.failed++;
  }
  return [...groups.values()].map((group) => {
    const durations = Float64Array.from(group.durations).sort();
    const at = (share) => durations[Math.max(0, Math.ceil(durations.length * share) - 1)];
    return { ...group, durations, count: durations.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
  });
}

function extent(all) {
  let [low, high] = [Infinity, 0.1];
  for (const one of all) {
    low = Math.min(low, Math.max(0.1, one.durations[0]));
    high = Math.max(high, one.max);
  }
  return [Math.min(low, high), high];
}

function Histogram({ one, low, high }) {
  const range = Math.log(high / low) || 1;
  const position = (value) => Math.min(1, Math.max(0, Math.log(Math.max(value, low) / low) / range));
  const bins = new Array(BINS).fill(0);
  for (const value of one.durations) bins[Math.min(BINS - 1, Math.floor(position(value) * BINS))]++;
  const most = Math.max(...bins);
  return html`
    <svg viewBox="0 0 240 32" preserveAspectRatio="none" role="img" aria-label=${`p50 ${duration(one.p50)}, p90 ${duration(one.p90)}, p99 ${duration(one.p99)}`}>
      ${bins.map((number, place) => number ? html`<rect class="bin" key=${place} x=${place * 10 + 0.5} width="9"
        y=${30 - Math.max(2, (number / most) * 28)} height=${Math.max(2, (number / most) * 28)} />` : null)}
      <line class="axis" x1="0" x2="240" y1="31" y2="31" />
      ${["p50", "p90", "p99"].map((name) => html`<line class="mark" key=${name} x1=${position(one[name]) * 238 + 1} x2=${position(one[name]) * 238 + 1} y1="0" y2="31" />`)}
    </svg>`;
}
