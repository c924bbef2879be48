// The names of the language, and the values that an exchange has for each. As formats/query/fields.py does.
// A field `needs` columns only, the details, or also the bodies of exchanges.
import { FilterError, nearest } from "./reader.js";
import { jsonValues } from "./json.js";

const UPPER = { case: "upper" };
const LOWER = { case: "lower" };
const ID = { case: "lower", prefixOf: 36 };
const URL_PARTS = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(?:[^/?#]*@)?((?:\[[^\]]*\])|[^/?#:]*)(?::(\d{1,9})(?!\d))?([^?#]*)(?:\?([^#]*))?/s;
const PORTS = { http: 80, ws: 80, https: 443, wss: 443 };
const ALIASES = {
  dur: "duration", tags: "tag", size: "response.size", body: "response.body", "response.status": "status",
  "request.method": "method", "request.url": "url", "request.host": "host", "request.path": "path",
  "request.query": "query", "request.version": "version",
};
export const WITH_ARGUMENT = {
  header: "user-agent", "request.header": "accept", "response.header": "content-type", query: "page", cookie: "session",
  json: "$.user.id", "request.json": "$.user.id", "response.json": "$.user.id",
};
const one = (value) => (value ? [value] : []);
const known = (value) => (value < 0 ? [] : [value]);
const sized = (session, i, column) => (session.kind(i) === "tunnel" ? [] : known(session.table[column][i]));

function column(kind, folding, values) {
  return { kind, folding: folding || {}, needs: "columns", values };
}

function detail(kind, folding, values) {
  return { kind, folding: folding || {}, needs: "details", values: (session, i, context) => values(context.detail) };
}

function named(name, folding) {
  return column("text", folding, (session, i) => one(session.name(name, i)));
}

function listed(name, folding) {
  return column("text", folding, (session, i) => session.list(name, i));
}

function address(kind, folding, ofUrl, ofDestination) {
  return column(kind, folding, (session, i) => {
    const parts = URL_PARTS.exec(session.name("url", i));
    if (parts) return ofUrl(parts);
    const [, host, port] = /^(.*):(\d*)$/.exec(session.name("destination", i)) || [];
    return host && ofDestination ? ofDestination(host, Number(port)) : [];
  });
}

const portOf = (parts) => (parts[3] ? Number(parts[3]) : PORTS[parts[1].toLowerCase()]);

const PLAIN = {
  type: listed("types", LOWER),
  method: named("method", UPPER),
  url: named("url"),
  host: address(
    "text",
    LOWER,
    (parts) => {
      const host = parts[2].toLowerCase();
      return [!parts[3] || portOf(parts) === PORTS[parts[1].toLowerCase()] ? host : `${host}:${Number(parts[3])}`];
    },
    (host, port) => [port === 443 ? host : `${host}:${port}`],
  ),
  hostname: address("text", LOWER, (parts) => [parts[2].toLowerCase().replace(/^\[|\]$/g, "")], (host) => [host]),
  port: address("number", {}, (parts) => (portOf(parts) ? [portOf(parts)] : []), (host, port) => [port]),
  path: address("text", {}, (parts) => [parts[4] || "/"]),
  query: address("text", {}, (parts) => (parts[5] === undefined ? [] : [parts[5]])),
  status: column("status", {}, (session, i) => (session.table.status[i] ? [session.table.status[i]] : [])),
  duration: column("duration", {}, (session, i) => (session.kind(i) === "tunnel" ? [] : known(session.duration(i) ?? -1))),
  protocol: named("protocol", LOWER),
  version: named("version", { version: true }),
  id: column("text", ID, (session, i) => [session.id(i)]),
  connection: named("connection", ID),
  rule: listed("rules"),
  continued_rule: listed("continued"),
  tag: listed("tags"),
  ip: named("ip", LOWER),
  sni: detail("text", LOWER, (found) => one(found.tls?.sniHostname)),
  ja3: detail("text", LOWER, (found) => one(found.tls?.ja3Fingerprint)),
  ja4: detail("text", LOWER, (found) => one(found.tls?.ja4Fingerprint)),
  error: column("text", {}, (session, i) => session.list("errors", i).filter((text) => text !== "aborted")),
  time: column("time", {}, (session, i) => [session.start[i], session.start[i] + session.span(i)]),
  close_code: detail("number", {}, (found) => (typeof found.close?.closeCode === "number" ? [found.close.closeCode] : [])),
  "ws.count": column("number", {}, (session, i) => (session.messages(i) ? [session.messages(i)] : [])),
  "request.size": column("size", {}, (session, i) => sized(session, i, "requestSize")),
  "response.size": column("size", {}, (session, i) => sized(session, i, "size")),
  "request.body": bodyField("request", (text) => one(text)),
  "response.body": bodyField("response", (text) => one(text)),
  endpoint: named("endpoint"),
  operation: listed("operations"),
  scope: named("scope"),
};

export function fieldNames() {
  return [...Object.keys(PLAIN), ...Object.keys(ALIASES)].sort();
}

// The field of a name. Throws FilterError with the most similar name.
export function resolve(name) {
  const text = name.text;
  if (name.argument !== null) {
    if (!(text in WITH_ARGUMENT)) {
      const names = Object.keys(WITH_ARGUMENT);
      throw new FilterError(
        name.position,
        `'${text}' takes no brackets; those that do: ${names.join(", ")}${nearest(text, names)}`,
      );
    }
    if (!name.argument) throw new FilterError(name.argumentPosition, `expected a name, as in ${text}[${WITH_ARGUMENT[text]}]`);
    return withArgument(text, name.argument, name);
  }
  const found = Object.hasOwn(PLAIN, text) ? PLAIN[text] : Object.hasOwn(ALIASES, text) ? PLAIN[ALIASES[text]] : null;
  if (found) return { name: text, ...found };
  if (text in WITH_ARGUMENT) {
    throw new FilterError(
      name.position + text.length,
      `expected brackets after ${text}, as in ${text}[${WITH_ARGUMENT[text]}]`,
    );
  }
  throw new FilterError(
    name.position,
    `expected a field, found '${text}'${nearest(text, [...fieldNames(), ...Object.keys(WITH_ARGUMENT)])}; ` +
      "keys of records have no meaning in this page, `mockrec filter` knows them",
  );
}

// For `path`, compared with a value that contains `?` or `&`: path and query together count, too.
export function withQuery(field) {
  if (field.name !== "path" && field.name !== "request.path") return field;
  const found = address("text", {}, (parts) => {
    const bare = parts[4] || "/";
    return parts[5] === undefined ? [bare] : [bare, `${bare}?${parts[5]}`];
  });
  return { ...found, name: field.name };
}

function withArgument(text, argument, name) {
  const side = text.startsWith("request.") ? "request" : text.startsWith("response.") ? "response" : "";
  if (text.endsWith("json")) {
    let values;
    try {
      values = jsonValues(argument);
    } catch (error) {
      throw new FilterError(name.argumentPosition, `no JSON path: ${error.message}`);
    }
    return { name: `${text}[${argument}]`, ...bodyField(side || "response", values, "any") };
  }
  if (text === "query") {
    const found = address("text", {}, (parts) => (parts[5] ? new URLSearchParams(parts[5]).getAll(argument) : []));
    return { name: text, ...found };
  }
  if (text === "cookie") {
    return {
      name: text,
      ...detail("text", {}, (found) => [
        ...headerValues(found.request, "cookie").flatMap((value) => value.split(";")),
        ...headerValues(found.response, "set-cookie").map((value) => value.split(";", 1)[0]),
      ].flatMap((pair) => cookieValue(pair, argument))),
    };
  }
  const wanted = argument.toLowerCase();
  const heads = (found) => [
    ...(side === "response" ? [] : [found.request]),
    ...(side === "request" ? [] : [found.response, ...(found.interim || [])]),
  ];
  return { name: text, ...detail("text", {}, (found) => heads(found).flatMap((head) => headerValues(head, wanted))) };
}

function cookieValue(pair, name) {
  const at = pair.indexOf("=");
  return at >= 0 && pair.slice(0, at).trim() === name ? [pair.slice(at + 1).trim()] : [];
}

// The values of a field: repeated ones are joined, except Set-Cookie (RFC 9110, 5.3).
export function headerValues(head, wanted) {
  const found = (head?.fields || []).filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
  if (wanted === "set-cookie" || found.length < 2) return found;
  return [found.join(wanted === "cookie" ? "; " : ", ")];
}

function bodyField(side, values, kind = "text") {
  return {
    kind,
    folding: {},
    needs: "bodies",
    side,
    values: (session, i, context) => (context[side] ? values(context[side]) : []),
  };
}
