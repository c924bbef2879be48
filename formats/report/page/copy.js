// An exchange as a command of curl and as a rule of mockrec, and the way to the clipboard.

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_SENT = new Set(["content-length", "connection", "host", "transfer-encoding", "proxy-connection", "keep-alive"]);
const MOST_MESSAGES = 100;
const NOT_KEPT = new Set([...NOT_SENT, "date", "content-encoding", "server", "age", "via"]);

// One argument of a POSIX shell. Control characters need the form $'…', which bash, zsh and ksh know.
export function quoted(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  if (!/[\u0000-\u001f\u007f]/.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replace(/[\\'\u0000-\u001f\u007f]/g, (char) =>
    char === "\n" ? "\\n" : char === "\t" ? "\\t" : char === "\r" ? "\\r"
      : char === "\\" || char === "'" ? `\\${char}` : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `$'${escaped}'`;
}

export function asCurl(session, i, detail, body) {
  const method = session.name("method", i) || "GET";
  const words = ["curl", "--globoff"];
  if (method === "HEAD") words.push("--head");
  else if (method !== "GET" || body) words.push("--request", quoted(method));
  let notes = "";
  for (const [name, value] of detail.request?.fields || []) {
    if (!TOKEN.test(name) || NOT_SENT.has(name.toLowerCase())) continue;
    words.push("--header", quoted(value ? `${name}: ${value}` : `${name};`));
  }
  if (body?.text) words.push("--data-raw", quoted(body.text));
  else if (body?.base64) {
    words.push("--data-binary", "@-");
    notes = `printf %s ${quoted(body.base64)} | base64 -d | `;
  } else if (detail.request?.body?.size) notes = "# the body is not in this report\n";
  words.push("--url", quoted(session.name("url", i)));
  return notes + words.join(" ");
}

// A text as a double-quoted scalar: JSON is YAML, except that rule files put variables for `${NAME}`.
export function scalar(text) {
  return key(text.replaceAll("${", () => "$${"));
}

function key(text) {
  return JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, (char) =>
    `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export async function asRule(session, i, detail, body) {
  const [target] = session.name("url", i).replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "").split("#");
  const at = target.indexOf("?");
  const websocket = session.kind(i) === "websocket" && detail.response?.status < 300;
  const lines = [
    "version: 1",
    "rules:",
    "  - when:",
    `      method: ${scalar(session.name("method", i))}`,
    `      path: ${scalar((at < 0 ? target : target.slice(0, at)) || "/")}`,
  ];
  if (websocket) lines.push("      websocket: true");
  const query = grouped(at < 0 ? [] : [...new URLSearchParams(target.slice(at + 1))]);
  if (query.size) lines.push("      query:", ...entries(query, 8));
  const script = websocket ? await scriptOf(session, detail) : null;
  if (script) lines.push("    then:", "      script:", ...script);
  else if (!detail.response) lines.push("    then: reset");
  else lines.push("    then:", "      reply:", ...replyOf(detail.response, body));
  return `${lines.join("\n")}\n`;
}

function replyOf(response, body) {
  const lines = [`        status: ${response.status}`];
  const fields = grouped((response.fields || []).filter(([name]) => TOKEN.test(name) && !NOT_KEPT.has(name.toLowerCase())));
  if (fields.size) lines.push("        headers:", ...entries(fields, 10));
  if (body?.base64) lines.push(`        base64: ${scalar(body.base64)}`);
  else if (body?.text) lines.push(`        body: ${scalar(body.text)}`);
  else if (response.body?.size) lines.push("        # the body is not in this report");
  return lines;
}

async function scriptOf(session, detail) {
  const lines = [];
  for (const [, received, binary, known] of (detail.messages || []).slice(0, MOST_MESSAGES)) {
    const body = await session.body(known);
    if (!body) lines.push("        # a message that is not in this report");
    else if (!received) lines.push(`        - send: ${binary ? `{base64: ${scalar(body.base64 || btoa(body.text))}}` : scalar(body.text)}`);
    else lines.push(body.text === undefined ? "        # a binary message of the client" : `        - expect: ${scalar(body.text)}`);
  }
  const close = detail.close;
  if (close?.initiator === "server" && close.serverCloseCode >= 1000) lines.push(`        - close: ${close.serverCloseCode}`);
  return lines.some((line) => line.includes("- ")) ? lines : ["        - wait: 0s"];
}

function grouped(pairs) {
  const found = new Map();
  for (const [name, value] of pairs) found.set(name, [...(found.get(name) || []), value]);
  return found;
}

function entries(table, indent) {
  return [...table].map(([name, values]) => {
    const value = values.length > 1 ? `[${values.map(scalar).join(", ")}]` : scalar(values[0]);
    return `${" ".repeat(indent)}${key(name)}: ${value}`;
  });
}

// Whether it was copied. From a file, a browser may not offer the clipboard.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
