// One exchange in full.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { Body } from "./body.js";
import { PHASES } from "./waterfall.js";
import { duration, moment, outcome, plural, readable, size, visible } from "../format.js";
import { asCurl, asRule, copy } from "../copy.js";
import { mediaType } from "../pretty.js";

const SHOWN = 200; // messages that are shown at first

export function Detail({ session, i, onClose, onMove }) {
  const [detail, setDetail] = useState(null);
  const [said, setSaid] = useState("");
  const box = useRef(null);
  useEffect(() => {
    let current = true;
    setDetail(null);
    setSaid("");
    session.detail(i).then((found) => current && setDetail(found), (error) => current && setSaid(String(error)));
    return () => (current = false);
  }, [session, i]);
  useEffect(() => {
    box.current.scrollTop = 0;
    box.current.focus();
  }, [i]);
  const put = async (make, what) => {
    const side = what === "rule" ? detail.response : detail.request;
    const body = side?.body ? await session.body(side.body) : null;
    setSaid((await copy(await make(session, i, detail, body))) ? `The ${what} is in the clipboard.` : "The browser did not allow that.");
  };
  const [status, look] = outcome(session, i);
  const method = session.method(i);
  const hasRequest = method && session.name("url", i);
  return html`
    <section class="detail" ref=${box} tabindex="-1" aria-label="Exchange">
      <div class="tools">
        <button onClick=${onClose}>Close <kbd>Esc</kbd></button>
        <button onClick=${() => onMove(-1)} aria-label="Previous exchange">↑ <kbd>k</kbd></button>
        <button onClick=${() => onMove(1)} aria-label="Next exchange">↓ <kbd>j</kbd></button>
        ${hasRequest ? html`<button disabled=${!detail} onClick=${() => put(asCurl, "command")}>Copy as cURL</button>
          <button disabled=${!detail} onClick=${() => put(asRule, "rule")}>Copy as rule</button>` : null}
        <span class="note" role="status">${said}</span>
      </div>
      <h2><span class=${look}>${status}</span> ${method} <span class="wrap">${visible(readable(session.place(i)))}</span></h2>
      <${Facts} session=${session} i=${i} detail=${detail} />
      ${detail ? html`<${Parts} session=${session} i=${i} detail=${detail} key=${i} />` : html`<p class="note">unpacking …</p>`}
    </section>`;
}

export function Parts({ session, i, detail }) {
  return html`
    ${detail.error ? html`<h3>Error</h3><${Plain} table=${detail.error} />` : null}
    <${Message} session=${session} title="Request" head=${detail.request} />
    ${(detail.interim || []).map((head, place) => html`<${Message} key=${place} session=${session} title="Interim response" head=${head} />`)}
    <${Message} session=${session} title="Response" head=${detail.response} />
    <${Messages} session=${session} detail=${detail} />
    ${detail.close ? html`<h3>Close</h3><${Plain} table=${detail.close} />` : null}
    <${Timing} session=${session} i=${i} detail=${detail} />
    ${detail.tls ? html`<h3>TLS</h3><${Plain} table=${detail.tls} />` : null}
    <${Events} session=${session} detail=${detail} />`;
}

function Facts({ session, i, detail }) {
  const rows = [
    ["Time", moment(session.start[i])],
    ["Duration", duration(session.duration(i))],
    ["Rule", session.list("rules", i).join(", ")],
    ["Continued", session.list("continued", i).join(", ")],
    ["Protocol", [session.name("protocol", i), session.name("version", i)].filter(Boolean).join(" ")],
    ["Client", detail?.client],
    ["Endpoint", session.name("endpoint", i)],
    ["Operation", session.operation(i)],
    ["Scope", session.name("scope", i)],
    ["Tags", session.list("tags", i).join(", ")],
    ["Error", session.list("errors", i).join(" · ")],
    ["Cause", session.cause(i)],
    ["Bytes", session.kind(i) === "tunnel" ? `${size(session.table.requestSize[i])} from the client, ${size(session.table.size[i])} to it` : ""],
    ["Connection", session.name("connection", i)],
    ["Id", session.id(i)],
  ];
  return html`<dl class="facts">${rows.filter(([, value]) => value).map(([name, value]) => html`
    <div key=${name}><dt>${name}</dt><dd>${visible(value)}</dd></div>`)}</dl>`;
}

export function Message({ session, title, head, marked, markedField }) {
  if (!head || (!head.fields && !head.body && head.status === undefined && !head.rawHead)) return null;
  return html`
    <h3>${title}${head.status === undefined ? "" : ` ${head.status} ${visible(head.reason || "")}`}</h3>
    <${Fields} fields=${head.fields} marked=${markedField} />
    <${Body} session=${session} known=${head.body} type=${mediaType(head)} marked=${marked} />
    ${head.trailers ? html`<h4>Trailers</h4><${Fields} fields=${head.trailers} />` : null}
    ${head.rawHead ? html`<h4>Received bytes</h4><${Body} session=${session} known=${head.rawHead} type="text/plain" />` : null}`;
}

function Fields({ fields, marked }) {
  if (!fields?.length) return null;
  return html`<dl class="fields">${fields.map(([name, value], place) => html`
    <div key=${place} class=${marked?.(name) ? "marked" : ""}><dt>${visible(name)}</dt><dd>${visible(value)}</dd></div>`)}</dl>`;
}

function Plain({ table }) {
  return html`<dl class="fields">${Object.entries(table).map(([name, value]) => html`
    <div key=${name}><dt>${visible(name)}</dt><dd>${visible(typeof value === "string" ? value : JSON.stringify(value))}</dd></div>`)}</dl>`;
}

function Messages({ session, detail }) {
  const [all, setAll] = useState(false);
  const messages = detail.messages;
  if (!messages) return null;
  const more = (detail.moreMessages || 0) + (all ? 0 : Math.max(0, messages.length - SHOWN));
  return html`<h3>${plural(messages.length + (detail.moreMessages || 0), "message")}</h3>
    <ol class="messages">${(all ? messages : messages.slice(0, SHOWN)).map(([at, received, binary, known], place) => html`
      <li key=${place}><span class=${received ? "received" : "sent"}>${received ? "↑ client" : "↓ server"}${binary ? ", binary" : ""}</span>
        <span class="muted"> ${at === null ? "" : `at ${duration(at)}`}</span>
        <${Body} session=${session} known=${known} type="" /></li>`)}</ol>
    ${more ? html`<p class="note">… and ${more} more ${all ? "" : html`<button onClick=${() => setAll(true)}>Show those in this report</button>`}</p>` : null}`;
}

function Timing({ session, i, detail }) {
  const phases = detail.phases;
  if (!phases) return null;
  const total = phases.reduce((sum, phase) => sum + phase, 0) || 1;
  let at = 0;
  return html`<h3>Timing</h3>
    <table class="timing"><tbody>${phases.map((phase, place) => {
      const left = (at / total) * 100;
      at += phase;
      return phase ? html`<tr key=${place}><th scope="row">${PHASES[place]}</th><td>${duration(phase)}</td>
        <td class="lane"><svg aria-hidden="true"><rect class=${`phase-${place}`} x=${`${left}%`} width=${`${Math.max(0.5, (phase / total) * 100)}%`} y="3" height="12" /></svg></td></tr>` : null;
    })}</tbody></table>
    ${detail.upstream ? html`<p class="note">Measured at the server: ${visible(Object.entries(detail.upstream).map(([name, value]) => `${name} ${duration(value)}`).join(", "))}</p>` : null}`;
}

function Events({ session, detail }) {
  if (!detail.events) return null;
  return html`<h3>Events of rules</h3>
    <ol class="messages">${detail.events.map(([at, kind, rule, data], place) => html`
      <li key=${place}><b>${visible(kind)}</b> <span class="muted">rule ${visible(rule)}, at ${duration(at)}</span>
        <${Data} session=${session} data=${data} /></li>`)}</ol>
    ${detail.moreEvents ? html`<p class="note">… and ${detail.moreEvents} more</p>` : null}`;
}

function Data({ session, data }) {
  const { rawHeaders, rawBody, ...others } = data;
  const fields = Array.isArray(rawHeaders) ? rawHeaders.filter(Array.isArray).map(([name, value]) => [String(name), String(value)]) : null;
  return html`<${Plain} table=${others} />${fields ? html`<${Fields} fields=${fields} />` : null}
    ${rawBody ? html`<${Body} session=${session} known=${rawBody} type="" />` : null}`;
}
