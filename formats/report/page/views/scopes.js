// Scopes (tests): how many exchanges each has, and their outcome.
import { useMemo } from "preact/hooks";
import { html } from "../html.js";
import { count, duration, visible } from "../format.js";
import { quote } from "./summary.js";

const MOST = 1000;

export function Scopes({ session, onFilter }) {
  const scopes = useMemo(() => scopesOf(session), [session]);
  const hasOutcomes = scopes.some((one) => one.outcome);
  return html`
    <section class="page" aria-label="Scopes">
      <div class=${`endpoints scopes${hasOutcomes ? " outcomes" : ""}`} role="table" aria-label="Scopes">
        <div role="row" class="endpoint head">${["Scope", ...(hasOutcomes ? ["Outcome"] : []), "Exchanges", "Failed", "Time"].map((title) => html`<div role="columnheader" key=${title}>${title}</div>`)}</div>
        ${scopes.slice(0, MOST).map((one) => html`
          <div role="row" class="endpoint" key=${one.name}>
            <div role="cell" class="name"><button class="link" onClick=${() => onFilter(`scope == ${quote(one.name)}`)}>${visible(one.name)}</button></div>
            ${hasOutcomes ? html`<div role="cell" data-title="Outcome" class=${one.outcome === "failed" ? "bad" : one.outcome ? "good" : "muted"}>${visible(one.outcome || "unknown")}</div>` : null}
            <div role="cell" data-title="Exchanges">${count(one.count)}</div>
            <div role="cell" data-title="Failed" class=${one.failed ? "bad" : "muted"}>${count(one.failed)}</div>
            <div role="cell" data-title="Time">${duration(one.time)}</div>
          </div>`)}
      </div>
      ${scopes.length > MOST ? html`<p class="note">… and ${scopes.length - MOST} more</p>` : null}
    </section>`;
}

export function hasScopes(session) {
  return session.names.scope.some(Boolean) || Object.keys(session.index.summary.outcomes).length > 0;
}

function scopesOf(session) {
  const outcomes = session.index.summary.outcomes;
  const found = new Map(Object.entries(outcomes).map(([name, outcome]) => [name, { name, outcome, count: 0, failed: 0, time: 0 }]));
  for (let i = 0; i < session.count; i++) {
    const name = session.name("scope", i);
    if (!name) continue;
    if (!found.has(name)) found.set(name, { name, outcome: "", count: 0, failed: 0, time: 0 });
    const scope = found.get(name);
    scope.count++;
    scope.failed += session.failed(i);
    scope.time += session.length(i);
  }
  const rank = (one) => (one.outcome === "failed" ? 0 : one.failed ? 1 : 2);
  return [...found.values()].sort((a, b) => rank(a) - rank(b));
}
