// JSON paths without filters and slices, and the values there. As formats/query/extract.py does.

const STEP = /\.?(?<key>[\w-]+)|\[(?<index>-?\d{1,9})\]|\[(?<quote>["'])(?<quoted>.*?)\k<quote>\]|(?<all>\.?\*|\[\*\])/uy;

export function jsonPath(text) {
  const steps = [];
  for (let position = text.startsWith("$") ? 1 : 0; position < text.length; ) {
    STEP.lastIndex = position;
    const match = STEP.exec(text);
    if (!match || (position > 0 && text[position] !== "." && text[position] !== "[")) {
      throw new Error(`expected .name, [index], ['name'] or [*], found '${text.slice(position, position + 20)}'`);
    }
    const { key, index, quoted, all } = match.groups;
    steps.push(index !== undefined ? Number(index) : all !== undefined ? null : (key ?? quoted));
    position += match[0].length;
  }
  return steps;
}

export function jsonValues(path) {
  const steps = jsonPath(path);
  return (text) => {
    let nodes;
    try {
      nodes = [parseJson(text)];
    } catch {
      return [];
    }
    for (const step of steps) nodes = nodes.flatMap((node) => inner(node, step));
    return nodes;
  };
}

function inner(node, step) {
  if (Array.isArray(node)) {
    if (step === null) return node.map((item) => item);
    const at = typeof step === "number" ? (step < 0 ? node.length + step : step) : -1;
    return at >= 0 && at < node.length ? [node[at]] : [];
  }
  if (node === null || typeof node !== "object") return [];
  if (step === null) return Object.values(node);
  return typeof step === "string" && Object.hasOwn(node, step) ? [node[step]] : [];
}

// JSON with the digits of long integers, where the browser can tell them.
export function parseJson(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (key, value, context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source || "")
      ? BigInt(context.source)
      : value,
  );
}
