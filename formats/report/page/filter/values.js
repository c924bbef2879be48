// Values of an expression → checks, functions of one value of a field. As formats/query/values.py and checks.py do.
import { regex } from "./regex.js";

export const TYPES = {
  text: "a text",
  number: "a number",
  status: "a status such as 404, a class such as 5xx, or a range such as 200..299",
  duration: "a duration such as 200ms, 1.5s or 2m",
  size: "a size such as 512, 20kB or 1MiB",
  time: "a date or time such as 2026-11-18 or 2026-11-18T11:20",
  any: "a value",
};
const MILLISECONDS = { "": 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const BYTES = {
  "": 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3, tib: 1024 ** 4,
};
const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const TIME =
  /^(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?)?)?(Z|[+-]\d\d:?\d\d)?$/;

export class ValueProblem extends Error {
  constructor(message, position) {
    super(message);
    this.position = position;
  }
}

export const takesRanges = (kind) => kind !== "text";

export function splitRange(word) {
  if (word.quoted) return null;
  const at = word.text.indexOf("..");
  const [low, high] = [word.text.slice(0, at), word.text.slice(at + 2)];
  if (at < 1 || !high) return null;
  return [{ text: low, position: word.position }, { text: high, position: word.position + at + 2 }];
}

// The checks of `FIELD operator word`, of which one must hold.
export function makeChecks(kind, operator, word, folding) {
  if (operator === "~" || operator === "~*" || ["contains", "startswith", "endswith"].includes(operator)) {
    if (kind !== "text" && kind !== "any") {
      throw new ValueProblem(`${operator} is for texts; expected a comparison with ${TYPES[kind]}`, word.position);
    }
    if (operator[0] !== "~") return [text(operator, fold(word.text, folding))];
    const found = regex(word.text, operator === "~*");
    if (typeof found === "string") throw new ValueProblem(found, word.position);
    return [(value) => typeof value === "string" && found.test(value)];
  }
  if (kind === "any") return anyChecks(operator, word);
  if (kind === "text") {
    const wanted = fold(word.text, folding);
    const prefix = operator === "==" && wanted.length < (folding.prefixOf || 0);
    return [text(prefix ? "startswith" : operator, wanted)];
  }
  if (kind === "time") return [interval(...bounds(operator, ...period(word), true))];
  const [low, high, open] = number(kind, word);
  return [interval(...bounds(operator, low, high, open))];
}

export function makeRange(kind, low, high) {
  if (kind === "time") return [interval(period(low)[0], period(high)[1], false, true)];
  const plain = kind === "any" ? "number" : kind;
  let [bottom] = number(plain, low);
  let [, top, open] = number(plain, high);
  if (kind === "any") [bottom, top, open] = [inJson(low), inJson(high), false];
  if (top < bottom) throw new ValueProblem(`the range ends at ${high.text}, before it begins`, high.position);
  return [interval(bottom, top, false, open)];
}

function inJson(word) {
  return /^-?\d{16,}$/.test(word.text) ? BigInt(word.text) : Number(word.text);
}

function fold(value, folding) {
  if (folding.case) value = folding.case === "upper" ? value.toUpperCase() : value.toLowerCase();
  if (folding.version) {
    value = value.toUpperCase().replace(/^HTTP\//, "");
    return /^\d+$/.test(value) ? `${value}.0` : value;
  }
  return value;
}

function expected(kind, word) {
  return new ValueProblem(`expected ${TYPES[kind]}, found '${word.text}'`, word.position);
}

// The lowest and the highest number that a value means, and whether the highest is excluded.
function number(kind, word) {
  const ofClass = kind === "status" && /^([1-5])[xX]{2}$/.exec(word.text);
  if (ofClass) return [ofClass[1] * 100, ofClass[1] * 100 + 100, true];
  if (kind === "duration" || kind === "size") {
    const match = /^(-?\d+(?:\.\d+)?)\s?([A-Za-z]*)$/.exec(word.text);
    const factor = match && (kind === "duration" ? MILLISECONDS[match[2]] : BYTES[match[2].toLowerCase()]);
    if (!factor) throw expected(kind, word);
    const value = Number(match[1]) * factor;
    return [value, value, false];
  }
  if (!NUMBER.test(word.text) || !Number.isFinite(Number(word.text))) throw expected(kind, word);
  return [Number(word.text), Number(word.text), false];
}

// Low, high, whether low and high are excluded, of a comparison with the numbers from low to high.
function bounds(operator, low, high, open) {
  if (operator === "==") return [low, high, false, open];
  if (operator === "<") return [null, low, false, true];
  if (operator === "<=") return [null, high, false, open];
  if (operator === ">") return [high, null, !open, false];
  return [low, null, false, false];
}

function interval(low, high, lowOpen, highOpen) {
  return (value) =>
    (typeof value === "number" || typeof value === "bigint") &&
    (low === null || (lowOpen ? value > low : value >= low)) &&
    (high === null || (highOpen ? value < high : value <= high));
}

function text(operator, wanted) {
  const tests = {
    "==": (value) => value === wanted,
    "<": (value) => value < wanted,
    "<=": (value) => value <= wanted,
    ">": (value) => value > wanted,
    ">=": (value) => value >= wanted,
    contains: (value) => value.includes(wanted),
    startswith: (value) => value.startsWith(wanted),
    endswith: (value) => value.endsWith(wanted),
  };
  const holds = tests[operator];
  return (value) => typeof value === "string" && holds(value);
}

// A JSON value has a type of its own: `7` matches the number and the text, `"7"` the text.
function anyChecks(operator, word) {
  const checks = [text(operator, word.text)];
  if (word.quoted) return checks;
  if (NUMBER.test(word.text)) {
    const value = inJson(word);
    if (["<", "<=", ">", ">="].includes(operator)) checks.length = 0;
    checks.push(interval(...bounds(operator, value, value, false)));
  } else if (operator === "==" && ["true", "false", "null"].includes(word.text)) {
    const exact = JSON.parse(word.text);
    checks.push((value) => value === exact);
  }
  return checks;
}

// The period that a date means, in microseconds: from, and before.
function period(word) {
  const match = TIME.exec(word.text);
  if (!match) throw expected("time", word);
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  if (zone && hour === undefined) throw new ValueProblem("expected a time of day before the time zone", word.position);
  let start = Date.UTC(year, month - 1, day || 1, hour || 0, minute || 0, second || 0) * 1000;
  const made = new Date(start / 1000);
  if (made.getUTCMonth() !== month - 1 || made.getUTCDate() !== Number(day || 1) || hour > 23 || minute > 59 || second > 59) {
    throw new ValueProblem("no date or time: there is no such day or time", word.position);
  }
  start += Number((fraction || "").padEnd(6, "0"));
  if (zone && zone !== "Z") {
    const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
    start -= (zone[0] === "-" ? -1 : 1) * minutes * 60e6;
  }
  if (fraction) return [start, start + 10 ** (6 - fraction.length)];
  if (hour) return [start, start + (second ? 1e6 : minute ? 60e6 : 3600e6)];
  return [start, day ? start + 86_400e6 : Date.UTC(year, month, 1) * 1000];
}
