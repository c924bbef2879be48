// An expression → a plan: numbered tests, and how their answers combine. The grammar of formats/query/parser.py.
import { FilterError, nearest, Reader, WORD_OPERATORS } from "./reader.js";
import { resolve, withQuery } from "./fields.js";
import { makeChecks, makeRange, splitRange, takesRanges, TYPES, ValueProblem } from "./values.js";

const MAX_LENGTH = 10_000;
const MAX_DEPTH = 50;
const OPERATORS = "==, !=, <, <=, >, >=, ~, ~*, contains, startswith, endswith or in";
const FALSE_FRIENDS = {
  is: "==", eq: "==", equals: "==", ne: "!=", gt: ">", ge: ">=", lt: "<", le: "<=", matches: "~",
  like: "contains or ~", includes: "contains", has: "contains", exists: "the name alone", between: "in low..high",
};
const PRESENT = [() => true];

// Throws FilterError. The plan: {tests: [{field, checks}], decide(answers)}.
export function parse(expression) {
  const reader = new Reader(expression);
  const tests = [];
  let depth = 0;
  if (expression.length > MAX_LENGTH) {
    throw reader.error(`the expression has ${expression.length} characters, more than ${MAX_LENGTH}`, MAX_LENGTH);
  }
  if (reader.atEnd) throw reader.error("expected a test such as status >= 500, found nothing");
  const decide = either();
  if (!reader.atEnd) {
    if (expression[reader.position] === ")") throw reader.error("this bracket was not opened");
    throw reader.error(`expected and, or, or the end, found ${reader.found()}`);
  }
  return { tests, decide };

  function either() {
    const parts = [both()];
    while (reader.connective("or")) parts.push(both());
    return parts.length === 1 ? parts[0] : (answers) => parts.some((part) => part(answers));
  }

  function both() {
    const parts = [factor()];
    while (reader.connective("and") || atFactor()) parts.push(factor());
    return parts.length === 1 ? parts[0] : (answers) => parts.every((part) => part(answers));
  }

  function atFactor() {
    if (reader.atEnd) return false;
    const start = reader.position;
    const negated = reader.connective("not");
    reader.position = start;
    if (negated) return true;
    return !reader.atConnective() && /[(\p{L}_]/u.test(expression[reader.position]);
  }

  function factor() {
    if (++depth > MAX_DEPTH) throw reader.error(`more than ${MAX_DEPTH} brackets inside one another`);
    try {
      if (reader.connective("not")) {
        const inner = factor();
        return (answers) => !inner(answers);
      }
      const opened = reader.position;
      if (!reader.sign("(")) return test();
      const inner = either();
      if (reader.sign(")")) return inner;
      if (reader.atEnd) throw reader.error("the bracket that opens here is not closed", opened);
      throw reader.error(`expected and, or, or ), found ${reader.found()}`);
    } finally {
      depth--;
    }
  }

  function test() {
    const start = reader.position;
    const word = reader.connective("and", "or");
    if (word) throw reader.error(`expected a test such as status >= 500, found '${word}'`, start);
    const name = reader.name();
    if (!name) throw reader.error(`expected a test such as status >= 500, found ${reader.found()}`);
    const field = resolve(name);
    const operator = reader.operator();
    if (!operator) {
      refuseOperator();
      return leaf(field, PRESENT, []);
    }
    if (operator.text === "in") return leaf(field, ...set(field));
    const wanted = { "=": "==", "!=": "==" }[operator.text] || operator.text.replace(/^!/, "");
    const value = reader.value();
    if (!value || (!value.quoted && ["and", "or"].includes(value.text.toLowerCase()))) {
      const found = value ? `'${value.text}'` : reader.found();
      throw reader.error(`expected ${TYPES[field.kind]} after ${operator.text}, found ${found}`, value?.position);
    }
    const holds = leaf(field, checks(field, wanted, value), [value.text]);
    if (operator.text[0] !== "!") return holds;
    const present = leaf(field, PRESENT, []);
    return (answers) => present(answers) && !holds(answers);
  }

  function refuseOperator() {
    const char = expression[reader.position];
    if (char && !/[()_\p{L}]/u.test(char) && !reader.atConnective()) {
      throw reader.error(`expected ${OPERATORS}, found ${reader.found()}`);
    }
    const word = reader.word();
    const friend = Object.hasOwn(FALSE_FRIENDS, word.toLowerCase()) && FALSE_FRIENDS[word.toLowerCase()];
    if (friend) throw reader.error(`expected ${OPERATORS}, found '${word}' (did you mean ${friend}?)`);
    const near = word.length > 3 ? nearest(word, WORD_OPERATORS) : "";
    if (near) throw reader.error(`expected ${OPERATORS}, found '${word}'${near}`);
  }

  // The checks of a set or a range, and the texts of its values.
  function set(field) {
    const opened = reader.position;
    if (!reader.sign("(")) {
      const value = reader.value();
      if (!value) throw reader.error(`expected ( or low..high after in, found ${reader.found()}`);
      if (!splitRange(value)) throw reader.error(`expected ( or low..high after in, found '${value.text}'`, value.position);
      return [checks(field, "==", value), [value.text]];
    }
    const found = [];
    const texts = [];
    for (;;) {
      const value = reader.value(true);
      if (!value) {
        if (reader.atEnd) throw reader.error("the bracket that opens here is not closed", opened);
        throw reader.error(`expected ${TYPES[field.kind]}, found ${reader.found()}`);
      }
      found.push(...checks(field, "==", value));
      texts.push(value.text);
      if (reader.sign(")")) return [found, texts];
      if (!reader.sign(",")) {
        if (reader.atEnd) throw reader.error("the bracket that opens here is not closed", opened);
        throw reader.error(`expected a comma or ), found ${reader.found()}`);
      }
    }
  }

  function checks(field, operator, value) {
    try {
      const ends = operator === "==" && takesRanges(field.kind) ? splitRange(value) : null;
      return ends ? makeRange(field.kind, ...ends) : makeChecks(field.kind, operator, value, field.folding);
    } catch (error) {
      if (error instanceof ValueProblem) throw new FilterError(error.position, error.message);
      throw error;
    }
  }

  function leaf(field, found, texts) {
    const number = tests.length;
    tests.push({ field: texts.some((text) => /[?&]/.test(text)) ? withQuery(field) : field, checks: found });
    return (answers) => answers[number];
  }
}
