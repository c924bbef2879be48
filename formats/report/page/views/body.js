// A body, by its type, with a search in it.
import { useEffect, useMemo, useState } from "preact/hooks";
import { html } from "../html.js";
import { size, visible } from "../format.js";
import { bytesOf } from "../unpack.js";
import { hexLines, lines } from "../pretty.js";

export function Body({ session, known, type, marked }) {
  const [content, setContent] = useState(undefined);
  const [search, setSearch] = useState("");
  const [plain, setPlain] = useState(false);
  useEffect(() => {
    let current = true;
    setContent(undefined);
    session.body(known).then((found) => current && setContent(found), () => current && setContent(null));
    return () => (current = false);
  }, [session, known]);
  const shown = useMemo(() => {
    if (!content) return null;
    if (content.base64 !== undefined) return hexLines(bytesOf(content.base64));
    return lines(content.text, plain ? "text/plain-as-it-is" : type);
  }, [content, type, plain]);
  if (!known) return null;
  const notes = [
    size(known.size),
    known.contentEncoding && `${visible(String(known.contentEncoding))}${known.encodedSize === undefined ? "" : `, ${size(known.encodedSize)} on the wire`}`,
    known.charset && `charset ${visible(String(known.charset))}`,
    ...["truncated", "redacted", "undecodable", "incomplete"].filter((key) => known[key] === true),
  ].filter(Boolean);
  if (content === null && known.n !== undefined) {
    const hash = session.hash(known);
    return html`<p class="note">${notes.join(" · ")} · not in this report (<code>--bodies SIZE</code>)${hash ? html` · hash <code class="wrap">${visible(hash)}</code>` : null}</p>`;
  }
  if (!shown || !known.size) return html`<p class="note">${notes.join(" · ")}</p>`;
  const wanted = search.toLowerCase();
  const found = wanted ? shown.lines.filter((line) => line.text.toLowerCase().includes(wanted)) : shown.lines;
  return html`
    <div class="body">
      <div class="tools"><span class="note">${notes.join(" · ")}</span>
        <label>Search <input type="search" value=${search} onInput=${(event) => setSearch(event.currentTarget.value)} /></label>
        ${content.text !== undefined ? html`<label><input type="checkbox" checked=${plain} onChange=${(event) => setPlain(event.currentTarget.checked)} /> as it is</label>` : null}
        ${wanted ? html`<span class="note" role="status">${found.length} of ${shown.lines.length} lines</span>` : null}
      </div>
      <pre tabindex="0" aria-label="Body">${found.map((line, place) => html`
        <span key=${place} class=${marked?.(line) ? "line marked" : "line"} title=${wanted ? line.path : null}><${Marked} text=${line.text} wanted=${wanted} />${"\n"}</span>`)}</pre>
      ${shown.cut ? html`<p class="note">The rest is left out here; <code>mockrec show</code> prints all of it.</p>` : null}
    </div>`;
}

// A text with the occurrences of a (lower-case) search word marked.
function Marked({ text, wanted }) {
  if (!wanted) return visible(text);
  const parts = [];
  const lower = text.toLowerCase();
  let at = 0;
  for (let found = lower.indexOf(wanted); found >= 0 && parts.length < 200; found = lower.indexOf(wanted, at)) {
    parts.push(visible(text.slice(at, found)), html`<mark key=${found}>${visible(text.slice(found, found + wanted.length))}</mark>`);
    at = found + wanted.length;
  }
  parts.push(visible(text.slice(at)));
  return parts;
}
