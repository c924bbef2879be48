// The exchanges that a plan selects: at once if columns answer it, otherwise block by block.
import { bytesOf } from "../unpack.js";

const NOTHING = { detail: {} };

export async function select(session, plan, { cancelled, progress }) {
  const needs = new Set(plan.tests.map((test) => test.field.needs));
  const found = [];
  let missing = 0;
  await session.more();
  if (!needs.has("details") && !needs.has("bodies")) {
    for (let i = 0; i < session.count; i++) if (holds(session, plan, i, NOTHING)) found.push(i);
    return { found, missing };
  }
  const sides = new Set(plan.tests.map((test) => test.field.side).filter(Boolean));
  for (let number = 0; number < session.index.details.length; number++) {
    const [first, details] = await session.details(number);
    if (cancelled()) return null;
    for (let place = 0; place < details.length; place++) {
      const context = { detail: details[place] };
      for (const side of sides) {
        const known = context.detail[side]?.body;
        if (!known || known.n === undefined) continue;
        if (session.hasBody(known)) context[side] = textOf(await session.body(known));
        else missing++;
      }
      if (holds(session, plan, first + place, context)) found.push(first + place);
    }
    progress((number + 1) / session.index.details.length);
    await new Promise((done) => setTimeout(done));
    if (cancelled()) return null;
  }
  return { found, missing };
}

function holds(session, plan, i, context) {
  const answers = plan.tests.map(({ field, checks }) => {
    for (const value of field.values(session, i, context)) {
      for (const check of checks) if (check(value)) return true;
    }
    return false;
  });
  return plan.decide(answers);
}

export function textOf(body) {
  if (!body) return "";
  if (body.text !== undefined) return body.text;
  return new TextDecoder().decode(bytesOf(body.base64));
}
