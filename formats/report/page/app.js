// The page: its views, what is selected and filtered, the address, and the keyboard.
import { render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { unpack } from "./unpack.js";
import { Session } from "./session.js";
import { count, plural } from "./format.js";
import { parse } from "./filter/parser.js";
import { FilterError } from "./filter/reader.js";
import { select } from "./filter/select.js";
import { Summary } from "./views/summary.js";
import { sorted, Table } from "./views/table.js";
import { Waterfall } from "./views/waterfall.js";
import { Latency } from "./views/latency.js";
import { hasScopes, Scopes } from "./views/scopes.js";
import { Findings } from "./views/findings.js";
import { Detail } from "./views/detail.js";

const FILTERED = ["exchanges", "waterfall", "latency"];
const WORDS =
  "The filter is the language of `mockrec filter`: status, method, host, path, query[NAME], duration, size, body, " +
  "json[PATH], header[NAME], cookie[NAME], rule, tag, error, time and others, with == != < > ~ contains in and or not.";
const THEMES = ["auto", "light", "dark"];

function viewsOf(session) {
  return [
    ...(session.index.diff ? [["findings", "Differences"]] : [["summary", "Summary"]]),
    ["exchanges", "Exchanges"],
    ["waterfall", "Waterfall"],
    ["latency", "Latency"],
    ...(hasScopes(session) ? [["scopes", "Scopes"]] : []),
  ];
}

function App({ session }) {
  const views = viewsOf(session);
  const [address, setAddress] = useState(() => readAddress(views));
  const [text, setText] = useState(address.filter);
  const [sort, setSort] = useState("time");
  const [selected, setSelected] = useState(-1);
  const [theme, setTheme] = useTheme();
  const [help, setHelp] = useState(false);
  const printing = usePrinting();
  const input = useRef(null);
  const result = useFilter(session, text);
  const rows = useMemo(() => sorted(session, result.found, sort), [session, result.found, sort]);
  const { view } = address;
  const [, setLoaded] = useState(false);
  useEffect(() => void session.more().then(() => setLoaded(true)), [session]);
  const open = address.id === "" ? -1 : session.places?.get(address.id) ?? -1;

  const go = (changes) => {
    const next = { ...address, ...changes };
    setAddress(next);
    writeAddress(next);
  };
  useEffect(() => {
    const changed = () => {
      const next = readAddress(views);
      setAddress(next);
      setText(next.filter);
    };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  useEffect(() => setSelected((before) => Math.min(before, rows.length - 1)), [rows]);

  const filter = (expression) => {
    setText(expression);
    setSelected(-1);
    go({ view: FILTERED.includes(view) && view !== "latency" ? view : "exchanges", filter: expression, id: "" });
  };
  const openRow = (place) => session.more().then(() => rows[place] !== undefined && go({ id: session.id(rows[place]) }));
  const move = (step) => {
    const next = Math.max(0, Math.min(rows.length - 1, selected + step));
    setSelected(next);
    if (open >= 0) openRow(next);
    else document.querySelector(".list")?.focus(); // otherwise Enter would press the button that was clicked last
  };
  const close = () => {
    go({ id: "" });
    requestAnimationFrame(() => document.querySelector(".list")?.focus());
  };

  // A layout effect: two keys may come before the next frame, and each has to see what the one before has changed.
  useLayoutEffect(() => {
    const onKey = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "checkbox";
      if (event.key === "Escape") {
        if (help) setHelp(false);
        else if (typing) event.target.blur();
        else if (open >= 0) close();
        else return;
      } else if (typing) return;
      else if (event.key === "/") {
        if (!FILTERED.includes(view)) go({ view: "exchanges" });
        requestAnimationFrame(() => input.current?.focus());
      } else if (event.key === "?") setHelp(!help);
      else if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
      else if (event.key === "Enter" && event.target.tagName !== "BUTTON" && selected >= 0) openRow(selected);
      else if (/^[1-9]$/.test(event.key) && views[event.key - 1]) go({ view: views[event.key - 1][0], id: "" });
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  const shared = { session, rows, selected, onSelect: setSelected, onOpen: openRow, onFilter: filter, printing };
  return html`
    <header>
      <h1>mockrec <span class="muted">${session.index.diff ? "diff" : "report"}</span></h1>
      <nav aria-label="Views">${views.map(([name, title], place) => html`
        <button key=${name} aria-current=${view === name ? "page" : null} title=${`Key ${place + 1}`} onClick=${() => go({ view: name, id: "" })}>${title}</button>`)}</nav>
      <div class="settings">
        <button onClick=${() => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])} aria-label=${`Colours: ${theme}`}>${{ auto: "◐", light: "☀", dark: "☾" }[theme]}</button>
        <button aria-expanded=${help} onClick=${() => setHelp(!help)}>Keys <kbd>?</kbd></button>
      </div>
    </header>
    ${help ? html`<${Help} />` : null}
    ${FILTERED.includes(view) ? html`<${Filter} input=${input} text=${text} result=${result} total=${session.count}
      onChange=${(value) => (setText(value), go({ filter: value }))} />` : null}
    <main class=${open >= 0 ? "with-detail" : ""}>
      <div class="view">
        ${view === "summary" ? html`<${Summary} session=${session} onFilter=${filter} />` : null}
        ${view === "findings" ? html`<${Findings} session=${session} printing=${printing} />` : null}
        ${view === "exchanges" ? html`<${Table} ...${shared} sort=${sort} onSort=${setSort} />` : null}
        ${view === "waterfall" ? html`<${Waterfall} ...${shared} />` : null}
        ${view === "latency" ? html`<${Latency} ...${shared} />` : null}
        ${view === "scopes" ? html`<${Scopes} session=${session} onFilter=${filter} />` : null}
      </div>
      ${open >= 0 ? html`<${Detail} session=${session} i=${open} onClose=${close} onMove=${move} />` : null}
    </main>`;
}

function Filter({ input, text, result, total, onChange }) {
  return html`
    <form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label for="filter">Filter</label>
      <input id="filter" ref=${input} type="search" spellcheck="false" autocomplete="off" autocapitalize="off" value=${text}
        placeholder="status >= 500 and path contains /orders/" aria-invalid=${Boolean(result.error)} aria-describedby="filter-said"
        onInput=${(event) => onChange(event.currentTarget.value)} />
      <output id="filter-said" data-for=${result.text} class=${result.error ? "bad" : "note"} role="status">${
        result.error ? html`<pre class="caret">${`${text}\n${" ".repeat(result.error.position)}^`}</pre>${`column ${result.error.position + 1}: ${result.error.message}`}`
        : result.progress !== null ? `searching … ${Math.round(result.progress * 100)} %`
        : `${text.trim() ? `${count(result.found.length)} of ` : ""}${plural(total, "exchange")}`
      }${result.missing ? ` · ${plural(result.missing, "body")} not in this report: \`mockrec filter\` looks at all`.replace("bodys", "bodies") : ""}</output>
    </form>`;
}

function Help() {
  const keys = [
    ["/", "filter"], ["j k", "next, previous"], ["↑ ↓ Page Home End", "in the list"], ["Enter", "open"], ["Esc", "close"],
    ["1 … 5", "views"], ["?", "this"],
  ];
  return html`<section class="help" aria-label="Keys"><dl class="facts">${keys.map(([key, words]) => html`
    <div key=${key}><dt><kbd>${key}</kbd></dt><dd>${words}</dd></div>`)}</dl>
    <p class="note">${WORDS}</p></section>`;
}

// The exchanges that an expression selects. The last valid result stays while a new one is being typed.
function useFilter(session, text) {
  const all = useMemo(() => Array.from({ length: session.count }, (_, i) => i), [session]);
  const [state, setState] = useState({ text: "", found: all, missing: 0, error: null, progress: null });
  useEffect(() => {
    let current = true;
    const update = (changes) => current && setState((before) => ({ ...before, ...changes }));
    if (!text.trim()) {
      update({ text, found: all, missing: 0, error: null, progress: null });
      return () => (current = false);
    }
    let plan;
    try {
      plan = parse(text);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      update({ text, error, progress: null });
      return () => (current = false);
    }
    const timer = setTimeout(async () => {
      update({ error: null });
      const result = await select(session, plan, { cancelled: () => !current, progress: (share) => update({ progress: share }) });
      if (result) update({ text, ...result, error: null, progress: null });
    }, 60);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [session, text]);
  return state;
}

function useTheme() {
  const [theme, setTheme] = useState(() => stored("mockrec-theme") || "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("mockrec-theme", theme);
    } catch {
      // a sandboxed page has no storage
    }
  }, [theme]);
  return [theme, setTheme];
}

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function usePrinting() {
  const [printing, setPrinting] = useState(() => matchMedia("print").matches);
  useEffect(() => {
    const query = matchMedia("print");
    const changed = () => setPrinting(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return printing;
}

// The address: #view?filter=…&id=…
function readAddress(views) {
  const [name, ...rest] = location.hash.slice(1).split("?");
  const parameters = new URLSearchParams(rest.join("?"));
  const view = views.some(([one]) => one === name) ? name : views[0][0];
  return { view, filter: parameters.get("filter") || "", id: parameters.get("id") || "" };
}

function writeAddress({ view, filter, id }) {
  const parameters = new URLSearchParams();
  if (filter) parameters.set("filter", filter);
  if (id) parameters.set("id", id);
  const query = parameters.toString();
  try {
    history.replaceState(null, "", `#${view}${query ? `?${query}` : ""}`);
  } catch {
    // a sandboxed page has no history of its own
  }
}

async function main() {
  const root = document.getElementById("app");
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser has no DecompressionStream");
    const index = await unpack(document.getElementById("index"));
    root.textContent = "";
    render(html`<${App} session=${new Session(index)} />`, root);
    document.title = `mockrec ${index.diff ? "diff" : "report"}: ${index.title}`;
  } catch (error) {
    root.textContent = `The report cannot be shown: ${error.message}`;
    throw error;
  }
}

main();
