// Reads an expression character by character: names, operators and values. As formats/query/tokens.py does.

const NAME = /[A-Za-z_][\w-]*(?:\.[\w-]+)*/y;
const SYMBOL = /!~\*|!~|!=|~\*|~|==|=|<=|<|>=|>/y;
const MEANT = { "=>": ">=", "=<": "<=", "===": "==", "!==": "!=", "<>": "!=", "=~": "~", "==~": "~" };
const NO_SYMBOL = /===|!==|==~|=>|=<|<>|=~/y;
const WORD = /(?!\d)\w+/y;
const CONNECTIVE = /(?:(and|or|not)(?![\w.[-])|(&&)|(\|\|)|(!)(?![=~]))/iy;
const VALUE = /(?:(?!&&|\|\|)[^\s()"'])+/y;
const ITEM = /(?:(?!&&|\|\|)[^\s(),"'])+/y;
const CONNECTIVES = { "&&": "and", "||": "or", "!": "not" };
export const WORD_OPERATORS = ["contains", "startswith", "endswith", "in"];

export class FilterError extends Error {
  constructor(position, message) {
    super(message);
    this.position = position;
  }
}

export class Reader {
  constructor(expression) {
    this.expression = expression;
    this.position = 0;
    this.skip();
  }

  get atEnd() {
    return this.position >= this.expression.length;
  }

  error(message, position = this.position) {
    return new FilterError(position, message);
  }

  match(pattern) {
    pattern.lastIndex = this.position;
    return pattern.exec(this.expression);
  }

  found() {
    if (this.atEnd) return "the end";
    const match = this.match(VALUE);
    return `'${match ? match[0].slice(0, 40) : this.expression[this.position]}'`;
  }

  connective(...wanted) {
    const match = this.match(CONNECTIVE);
    if (!match) return "";
    const name = CONNECTIVES[match[0]] || match[0].toLowerCase();
    if (!wanted.includes(name)) return "";
    this.move(this.position + match[0].length);
    return name;
  }

  atConnective() {
    return this.match(CONNECTIVE) !== null;
  }

  sign(sign) {
    if (!this.expression.startsWith(sign, this.position)) return false;
    this.move(this.position + sign.length);
    return true;
  }

  name() {
    const position = this.position;
    const match = this.match(NAME);
    if (!match) return null;
    this.position += match[0].length;
    let argument = null;
    let argumentPosition = 0;
    if (this.expression[this.position] === "[") [argument, argumentPosition] = this.argument();
    this.skip();
    return { text: match[0], argument, position, argumentPosition };
  }

  operator() {
    const position = this.position;
    let match = this.match(SYMBOL);
    const wrong = match && this.match(NO_SYMBOL);
    if (wrong) throw this.error(`${wrong[0]} is no comparison (did you mean ${MEANT[wrong[0]]}?)`, position);
    if (!match) {
      match = this.match(WORD);
      if (!match || !WORD_OPERATORS.includes(match[0].toLowerCase())) return null;
    }
    this.move(position + match[0].length);
    return { text: match[0].toLowerCase(), position };
  }

  word() {
    const match = this.match(WORD);
    return match ? match[0] : "";
  }

  value(item = false) {
    const position = this.position;
    const char = this.expression[position];
    if (char === '"' || char === "'") return this.quoted(char);
    const match = this.match(item ? ITEM : VALUE);
    if (!match) return null;
    const end = position + match[0].length;
    if (this.expression[end] === '"' || this.expression[end] === "'") {
      throw this.error("a quote inside a plain value: put the whole value in quotes", end);
    }
    this.move(end);
    return { text: match[0], position, quoted: false };
  }

  quoted(quote) {
    const start = this.position;
    let text = "";
    for (let position = start + 1; position < this.expression.length; position++) {
      let char = this.expression[position];
      if (char === quote) {
        this.move(position + 1);
        return { text, position: start, quoted: true };
      }
      const next = this.expression[position + 1];
      if (char === "\\" && (next === quote || next === "\\")) char = this.expression[++position];
      text += char;
    }
    throw this.error("the quote that begins here has no end", start);
  }

  argument() {
    const opened = this.position;
    let depth = 0;
    let quote = "";
    for (let position = opened; position < this.expression.length; position++) {
      const char = this.expression[position];
      if (quote) quote = char === quote ? "" : quote;
      else if (char === '"' || char === "'") quote = char;
      else if (char === "[") depth++;
      else if (char === "]" && --depth === 0) {
        this.position = position + 1;
        return [this.expression.slice(opened + 1, position).trim(), opened + 1];
      }
    }
    throw this.error("the bracket that opens here is not closed", opened);
  }

  move(position) {
    this.position = position;
    this.skip();
  }

  skip() {
    while (/\s/.test(this.expression[this.position] || "")) this.position++;
  }
}

// ` (did you mean …?)` with the most similar known word; empty if none is near.
export function nearest(word, known) {
  let best = "";
  let least = Math.max(1, Math.floor(word.length * 0.4)) + 0.5;
  for (const name of known) {
    const away = distance(word.toLowerCase(), name.toLowerCase());
    if (away < least) [best, least] = [name, away];
  }
  return best ? ` (did you mean ${best}?)` : "";
}

function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, place) => place);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
