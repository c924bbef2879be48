// The exchanges of the report: columns at once, details and bodies when they are asked for.
import { block } from "./unpack.js";

const KINDS = ["exchange", "websocket", "tunnel", "fault"];
export const NO_RULES = ["unmatched", "upstream"]; // ids of requests that were passed on without a rule
const HELD = 24; // unpacked blocks that stay in memory

export class Session {
  constructor(index) {
    this.index = index;
    const table = index.table;
    this.table = table;
    this.count = table.count;
    this.names = table.names;
    this.lists = table.lists;
    this.start = new Float64Array(this.count);
    let before = 0;
    for (let i = 0; i < this.count; i++) this.start[i] = before += table.start[i];
    this.begin = this.count ? this.start[0] : index.summary.first;
    let end = this.begin;
    for (let i = 0; i < this.count; i++) end = Math.max(end, this.start[i] + this.length(i) * 1000);
    this.end = end;
    const numbers = index.bodies.numbers;
    this.bodyPlaces = new Map();
    for (let place = 0, number = 0; place < numbers.length; place++) this.bodyPlaces.set((number += numbers[place]), place);
    this.causes = new Map(index.summary.causes.map(([tag, words]) => [tag, words]));
    // Without rules, the column for rules would have one text in all rows.
    this.hasRules = this.lists.rules.some((rules) => rules.some((rule) => !NO_RULES.includes(rule)));
    this.blocks = new Map();
    this.ids = null;
    this.late = null;
  }

  // The columns that no first view needs: ids, spans, and the hashes of bodies.
  more() {
    this.late ??= block(0).then((found) => {
      this.ids = found.id;
      this.spans = found.span;
      this.hashes = found.hashes;
      this.places = new Map(found.id.map((id, i) => [id, i]));
    });
    return this.late;
  }

  id(i) {
    return this.ids ? this.ids[i] : "";
  }

  // Microseconds from the first record to the last.
  span(i) {
    return this.spans ? this.spans[i] : 0;
  }

  // A text of a column with names, such as method or url.
  name(column, i) {
    const numbers = this.table[column];
    return this.names[column][numbers ? numbers[i] : 0];
  }

  number(column, i) {
    const numbers = this.table[column];
    return numbers ? numbers[i] : 0;
  }

  list(column, i) {
    const numbers = this.table[column];
    return this.lists[column].length ? this.lists[column][numbers ? numbers[i] : 0] : [];
  }

  kind(i) {
    return KINDS[this.table.kind[i]];
  }

  failed(i) {
    return (this.table.flags[i] & 1) === 1;
  }

  ended(i) {
    return (this.table.flags[i] & 2) === 2;
  }

  // Milliseconds, or null.
  duration(i) {
    const hundredths = this.table.duration[i];
    return hundredths < 0 ? null : hundredths / 100;
  }

  // Milliseconds that the exchange takes in the waterfall.
  length(i) {
    const hundredths = this.table.duration[i];
    return hundredths < 0 ? this.span(i) / 1000 : hundredths / 100;
  }

  // Milliseconds from the first exchange.
  offset(i) {
    return (this.start[i] - this.begin) / 1000;
  }

  ticks(i) {
    return this.table.ticks[i] || [];
  }

  messages(i) {
    return this.table.messages[i] || 0;
  }

  // An upgrade over HTTP/2 is a CONNECT (RFC 8441), but no tunnel.
  method(i) {
    const name = this.name("method", i);
    return this.kind(i) === "websocket" && name === "CONNECT" ? "WS" : name;
  }

  // Why the server could not be asked; empty if it could.
  cause(i) {
    for (const tag of this.list("tags", i)) if (this.causes.has(tag)) return this.causes.get(tag);
    return "";
  }

  operation(i) {
    return this.list("operations", i).join(", ");
  }

  place(i) {
    return this.name("url", i) || this.name("destination", i);
  }

  async block(number) {
    let found = this.blocks.get(number);
    if (found) this.blocks.delete(number);
    else found = block(number);
    this.blocks.set(number, found);
    if (this.blocks.size > HELD) this.blocks.delete(this.blocks.keys().next().value);
    return found;
  }

  async detail(i) {
    const [number, first] = under(this.index.details, i);
    return (await this.block(1 + number))[i - first];
  }

  // All details of a block, for a search through all of them: [first row, details].
  async details(number) {
    return [this.index.details[number], await this.block(1 + number)];
  }

  hasBody(known) {
    return !known || known.n === undefined || this.bodyPlaces.has(known.n);
  }

  // A body as {text} or {base64}; null if the report does not have it.
  async body(known) {
    if (!known || known.n === undefined) return known ? { text: "" } : null;
    const place = this.bodyPlaces.get(known.n);
    if (place === undefined) return null;
    const [number, first] = under(this.index.bodies.starts, place);
    const content = (await this.block(1 + this.index.details.length + number))[place - first];
    return Array.isArray(content) ? { base64: content[0] } : { text: content };
  }

  hash(known) {
    return known.sha256 || this.hashes?.[known.n] || "";
  }
}

// The block that an item is in: its number, and that of its first item.
function under(starts, item) {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= item) low = middle;
    else high = middle - 1;
  }
  return [low, starts[low]];
}
