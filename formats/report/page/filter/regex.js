// Regular expressions of RE2, as far as a browser gives them the same meaning in bounded time.

const ITEM = new RegExp(
  [
    "(?<literal>[^\\\\.[\\](){}*+?|^$])",
    "(?<escape>\\\\(?:[^\\w\\s]|[dwDWtnrfsSbB]))",
    "(?<any>\\.)",
    "(?<klass>\\[\\^?(?:[^\\\\[\\]^-]|\\\\[^\\w\\s]|\\\\[dws])(?:[^\\\\[\\]-]|\\\\[^\\w\\s]|\\\\[dws]|-(?=[^\\]]))*\\])",
    "(?<open>\\((?:\\?:)?(?!\\?))",
    "(?<close>\\))",
    "(?<or>\\|)",
    "(?<start>\\^)",
    "(?<end>\\$)",
    "(?<repeat>(?:[*+?]|\\{\\d{1,3}(?:,\\d{0,3})?\\})\\??)",
  ].join("|"),
  "y",
);
const MOST_REPEATS = 4; // the time may grow with the length of the text to the power of this number and one
const SPACES = "\\t\\n\\f\\r ";

// The pattern as a function; a sentence if it is none, or one that this page cannot search for.
export function regex(pattern, ignoreCase) {
  if (pattern.length > 1000) return `the pattern has ${pattern.length} characters, more than 1000`;
  let source = "";
  let depth = 0;
  let repeats = 0;
  let last = "";
  for (let position = 0; position < pattern.length; ) {
    ITEM.lastIndex = position;
    const item = ITEM.exec(pattern);
    if (!item) return elsewhere(`of \`${pattern.slice(position, position + 10)}\``);
    const kind = Object.keys(item.groups).find((name) => item.groups[name] !== undefined);
    let text = item[0];
    position += text.length;
    if (kind === "repeat") {
      if (["", "open", "or", "start", "end", "repeat"].includes(last)) {
        return `no regular expression (RE2): ${text} has nothing before it`;
      }
      if (last === "close" && text[0] !== "?") return elsewhere("because it repeats a group");
      if (text[0] !== "?" && ++repeats > MOST_REPEATS) return elsewhere(`because it has more than ${MOST_REPEATS} repeats`);
    } else if (kind === "open") {
      depth++;
      text = "(?:";
    } else if (kind === "close" && --depth < 0) {
      return "no regular expression (RE2): a bracket was not opened";
    } else if (kind === "klass") {
      text = text.replaceAll("\\s", SPACES);
    } else if (text === "\\s" || text === "\\S") {
      text = `[${text === "\\S" ? "^" : ""}${SPACES}]`;
    } else if (kind === "any") {
      text = "[^\\n]";
    }
    source += text;
    last = kind;
  }
  if (depth) return "no regular expression (RE2): a bracket is not closed";
  try {
    return new RegExp(source, ignoreCase ? "i" : "");
  } catch (error) {
    return `no regular expression (RE2): ${error.message}`;
  }
}

function elsewhere(why) {
  return `this page cannot search for this pattern, ${why}: a browser might need for ever. \`mockrec filter\` can`;
}
