// Bodies for people: lines of text, each with the place in the document that it shows, by content type.
import { jsonPath, parseJson } from "./filter/json.js";

export const MOST_LINES = 5_000;
const MOST_TEXT = 2_000_000;

export function mediaType(head) {
  const field = (head?.fields || []).find(([name]) => name.toLowerCase() === "content-type");
  return field ? field[1].split(";", 1)[0].trim().toLowerCase() : "";
}

// [{text, path}], and whether the end is left out.
export function lines(text, type) {
  const short = text.slice(0, MOST_TEXT);
  let found = null;
  if (/json/.test(type) || /^\s*[[{]/.test(short)) found = jsonLines(short);
  if (!found && type === "application/x-www-form-urlencoded") found = formLines(short);
  if (!found && type === "text/event-stream") found = plainLines(short, eventPath());
  if (!found && /xml|html/.test(type)) found = plainLines(short.replace(/>\s*</g, ">\n<"));
  found = found || plainLines(short);
  return { lines: found.slice(0, MOST_LINES), cut: found.length > MOST_LINES || text.length > MOST_TEXT };
}

function plainLines(text, path = () => "") {
  return text.split(/\r\n|\n|\r/).map((line) => ({ text: line, path: path(line) }));
}

function eventPath() {
  let event = 0;
  return (line) => {
    const path = `event ${event + 1}`;
    if (!line.trim()) event++;
    return path;
  };
}

function formLines(text) {
  return [...new URLSearchParams(text)].map(([name, value]) => ({ text: `${name} = ${value}`, path: name }));
}

// Written as a loop: a body may be nested as deeply as its sender likes.
function jsonLines(text) {
  let root;
  try {
    root = parseJson(text);
  } catch {
    return null;
  }
  const found = [];
  const stack = [{ value: root, path: "$", before: "", after: "", depth: 0 }];
  while (stack.length && found.length <= MOST_LINES) {
    const { value, path, before, after, depth, close } = stack.pop();
    const indent = "  ".repeat(Math.min(depth, 40));
    if (close) {
      found.push({ text: `${indent}${close}${after}`, path });
      continue;
    }
    if (value === null || typeof value !== "object") {
      found.push({ text: `${indent}${before}${typeof value === "bigint" ? value : JSON.stringify(value)}${after}`, path });
      continue;
    }
    const isList = Array.isArray(value);
    const entries = isList ? value.map((item, place) => [place, item]) : Object.entries(value);
    const [open, end] = isList ? "[]" : "{}";
    if (!entries.length) {
      found.push({ text: `${indent}${before}${open}${end}${after}`, path });
      continue;
    }
    found.push({ text: `${indent}${before}${open}`, path });
    stack.push({ close: end, after, path, depth });
    for (let place = entries.length - 1; place >= 0; place--) {
      const [key, item] = entries[place];
      stack.push({
        value: item,
        path: isList ? `${path}[${key}]` : /^[A-Za-z_]\w*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`,
        before: isList ? "" : `${JSON.stringify(key)}: `,
        after: place < entries.length - 1 ? "," : "",
        depth: depth + 1,
      });
    }
  }
  return found;
}

// Whether a line shows a place that a finding names: `$.items[?@.id=="x"].price`, `$.tags[*]`.
export function placeTest(path, text) {
  let pattern = "";
  let filters = false;
  for (let rest = path; rest; ) {
    const filter = /^\[\?@\.(\w+)==("(?:[^"\\]|\\.)*"|-?\d+)\]/.exec(rest);
    if (filter) {
      filters = true;
      const at = indexOf(text, pattern, filter[1], filter[2]);
      pattern += at < 0 ? "[\\d+]" : `[${at}]`;
      rest = rest.slice(filter[0].length);
    } else if (rest.startsWith("[*]")) {
      pattern += "[\\d+]";
      rest = rest.slice(3);
    } else {
      pattern += rest[0];
      rest = rest.slice(1);
    }
  }
  const parts = pattern.split("[\\d+]").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const test = new RegExp(`^${parts.join("\\[\\d+\\]")}(?=$|\\.|\\[)`);
  return { test: (line) => test.test(line), filters };
}

// The index of the item with this key and value in the array at a path; -1 if it is not there.
function indexOf(text, path, key, value) {
  try {
    let node = parseJson(text);
    for (const step of jsonPath(path)) node = node[step];
    return node.findIndex((item) => item && JSON.stringify(item[key]) === value);
  } catch {
    return -1;
  }
}

// Hexadecimal lines of bytes.
export function hexLines(bytes, most = 1024) {
  const found = [];
  for (let at = 0; at < Math.min(bytes.length, most); at += 16) {
    const row = bytes.slice(at, at + 16);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = [...row].map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    found.push({ text: `${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${text}`, path: "" });
  }
  return { lines: found, cut: bytes.length > most };
}
