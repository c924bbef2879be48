// The summary: how the recording ended, what it counted, and what needs a look. Numbers are filters.
import { html } from "../html.js";
import { NO_RULES } from "../session.js";
import { count, duration, moment, plural, visible } from "../format.js";

const ENDS = "response, websocket-close, tls-passthrough-closed, raw-passthrough-closed";
export const FAILED = `status >= 500 or error or not type in (${ENDS})`;
const TONES = { 1: "muted", 2: "good", 3: "muted", 4: "warn", 5: "bad" };

export function Summary({ session, onFilter }) {
  const { summary, notes } = session.index;
  const classes = new Map();
  for (const [status, number] of Object.entries(summary.statuses)) {
    const name = `${status[0]}xx`;
    classes.set(name, (classes.get(name) || 0) + number);
  }
  const total = [...classes.values()].reduce((sum, number) => sum + number, 0);
  return html`
    <section class="page" aria-label="Summary">
      ${notes.map((note) => html`<p class="notice" key=${note}>${note}</p>`)}
      <div class="figures">
        <${Figure} number=${summary.exchanges} words="exchanges" />
        <${Figure} number=${summary.failed} words="failed" tone=${summary.failed ? "bad" : "good"}
          onClick=${() => onFilter(FAILED)} />
        ${summary.unmatched || session.hasRules ? html`<${Figure} number=${summary.unmatched} words="matched no rule" tone=${summary.unmatched ? "warn" : ""} onClick=${() => onFilter("not rule and status")} />` : null}
        ${summary.passed ? html`<${Figure} number=${summary.passed} words="passed on without a rule" onClick=${() => onFilter(`rule in (${NO_RULES.join(", ")})`)} />` : null}
        ${summary.missed ? html`<${Figure} number=${summary.missed} words="had no recording" tone="bad" onClick=${() => onFilter("tag == replay-miss")} />` : null}
        <${Figure} number=${duration((summary.last - summary.first) / 1000)} words="from first to last record" />
      </div>
      ${total ? html`
        <h2>Status</h2>
        <div class="stack" role="img" aria-label=${[...classes].map(([name, number]) => `${name}: ${number}`).join(", ")}>
          ${[...classes].map(([name, number]) => html`<span class=${`part ${TONES[name[0]] || "muted"}`} key=${name} style=${{ flexGrow: number }}></span>`)}
        </div>
        <ul class="chips">${Object.entries(summary.statuses).map(([status, number]) => html`
          <li key=${status}><button class=${`chip ${TONES[status[0]] || "muted"}`} onClick=${() => onFilter(`status == ${status}`)}>
            <b>${status}</b> × ${count(number)}</button></li>`)}</ul>` : null}
      ${summary.errors.length || summary.causes.length ? html`<h2>Errors</h2>
        ${summary.causes.length ? html`<${Counted} items=${summary.causes.map(([tag, words, number]) => [words, number, tag])} onClick=${(words, tag) => onFilter(`tag == ${quote(tag)}`)} />` : null}
        <${Counted} items=${summary.errors} onClick=${(text) => onFilter(text === "aborted" ? "type == abort and not error" : `error startswith ${quote(text)}`)} />` : null}
      ${summary.problems.length ? html`<h2>Incomplete</h2><ul>${summary.problems.map((text) => html`<li key=${text}>${visible(text)}</li>`)}</ul>` : null}
      <${Rules} summary=${summary} onFilter=${onFilter} />
      <h2>Recording</h2>
      ${summary.sessions.map((one, place) => html`<${Recording} one=${one} key=${place} />`)}
      <p class="muted">${visible(session.index.title)} · mockrec ${session.index.version}</p>
    </section>`;
}

function Figure({ number, words, tone, onClick }) {
  const text = html`<b class=${tone || ""}>${typeof number === "number" ? count(number) : number}</b><span>${words}</span>`;
  return onClick && number ? html`<button class="figure" onClick=${onClick}>${text}</button>` : html`<div class="figure">${text}</div>`;
}

export function Counted({ items, onClick }) {
  return html`<ul class="counted">${items.map(([text, number, more]) => html`
    <li key=${text + (more || "")}><span class="number">${count(number)}</span>
      <button class="link" onClick=${() => onClick(text, more)}>${visible(text)}</button></li>`)}</ul>`;
}

function Rules({ summary, onFilter }) {
  const { rules, unusedRules, pendingRules, explanations } = summary;
  if (!rules.length && !unusedRules.length) return null;
  return html`
    <h2>Rules</h2>
    ${unusedRules.length ? html`<p class="warn">Never used:</p><ul>${unusedRules.map((rule) => html`
      <li key=${rule}><code>${visible(rule)}</code> <span class="muted">${visible(explanations[rule] || "")}</span></li>`)}</ul>` : null}
    ${pendingRules.length ? html`<p class="warn">Not used as often as they require: ${visible(pendingRules.join(", "))}</p>` : null}
    <${Counted} items=${rules} onClick=${(rule) => onFilter(`rule == ${quote(rule)}`)} />`;
}

function Recording({ one }) {
  const outcome = one.reason === undefined ? "no end was recorded" : `${one.reason}${one.exitCode === undefined ? "" : `, exit code ${one.exitCode}`}`;
  const rows = [
    ["Outcome", outcome],
    ["Started", moment(one.started)],
    ["Ended", moment(one.ended)],
    ["Command", one.command],
    ["Listened on", one.listen],
    ["Redaction", `${one.redaction || "unknown"}${one.redactions ? `, ${plural(one.redactions, "value")} replaced` : ""}`],
    ["Truncated bodies", one.truncatedBodies ? count(one.truncatedBodies) : ""],
    ["CI", one.ci.provider],
    ["CI run", one.ci.runUrl],
    ["Commit", one.ci.commit],
    ["Filtered from", one.derived.from && `${one.derived.from}: ${one.derived.expression || ""}`],
    ["Replay of", one.replay.of && `${one.replay.of} (${one.replay.from || ""}) to ${one.replay.to || ""}`],
    ["Session", `${one.id}, mockrec ${one.version}`],
  ];
  return html`<dl class="facts">${rows.filter(([, value]) => value).map(([name, value]) => html`
    <div key=${name}><dt>${name}</dt><dd>${visible(String(value))}</dd></div>`)}</dl>`;
}

export function quote(text) {
  return `"${text.replace(/["\\]/g, (char) => `\\${char}`)}"`;
}
