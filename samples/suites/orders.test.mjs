// A suite in JavaScript: mockrec run --control --unmatched reject -o none -- node --test samples/suites/orders.test.mjs
// `fetch` is Node's own (undici). COMMAND gets MOCKREC_URL, MOCKREC_CONTROL and MOCKREC_CONTROL_TOKEN.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

const { MOCKREC_URL, MOCKREC_CONTROL, MOCKREC_CONTROL_TOKEN } = process.env;

async function control(method, path, body) {
  const answer = await fetch(MOCKREC_CONTROL + path, {
    method,
    headers: { Authorization: `Bearer ${MOCKREC_CONTROL_TOKEN}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error.message);
  return value;
}

let scope;
const path = (name) => `/v1/scopes/${encodeURIComponent(name)}`;

beforeEach(async (context) => {
  scope = await control("PUT", path(context.name));
});
afterEach((context) => control("DELETE", path(context.name)));

const rules = (...given) => control("POST", "/v1/rules", { scope: scope.name, rules: given });
const exchanges = (where) =>
  control("GET", `/v1/exchanges?${new URLSearchParams({ scope: scope.name, where })}`);

// The code under test. A client of one test names its scope in a header, so that tests may run at once.
async function placeOrder(currency) {
  const answer = await fetch(`${MOCKREC_URL}/orders`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...scope.header },
    body: JSON.stringify({ currency }),
  });
  return answer.json();
}

test("an order is placed", async () => {
  await rules({ when: { method: "POST", path: "/orders" }, then: { reply: { status: 201, json: { id: 7 } } } });
  assert.deepEqual(await placeOrder("EUR"), { id: 7 });
  const [seen] = await exchanges("method == POST and path == /orders");
  assert.deepEqual(JSON.parse(seen.request.body), { currency: "EUR" });
});

test("another test sees nothing of it", async () => {
  await rules({ when: { path: "/orders" }, then: { reply: { json: { id: 8 } } } });
  assert.deepEqual(await placeOrder("USD"), { id: 8 });
  assert.equal((await exchanges("path == /orders")).length, 1);
});
