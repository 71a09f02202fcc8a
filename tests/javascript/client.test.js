// The real @defer/client 2.3.0, as published, against a real emulator.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { startEmulator } from "./emulator.js";

const DAY = 86_400_000;
const UNKNOWN = "01890000-0000-7000-8000-000000000000";

let emulator, client, functions;

before(async () => {
  emulator = await startEmulator();
  // The client chooses its backend when it is loaded.
  process.env.DEFER_ENDPOINT = emulator.url;
  process.env.DEFER_TOKEN = "anything";
  client = await import("@defer/client");
  const { defer } = client;
  functions = {
    add: defer(async function add() {}),
    sendWelcomeEmail: defer(async function sendWelcomeEmail() {}),
    alwaysFails: defer(async function alwaysFails() {}),
    failsTwice: defer(async function failsTwice() {}),
    sleeps: defer(async function sleeps() {}),
    runsNode: defer(async function runsNode() {}),
    nightly: defer.cron(async function nightly() {}, "0 3 * * *"),
    missing: defer(async function sendWelcomeMail() {}),
  };
});

after(() => emulator?.stop());

async function until(id, ...states) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const execution = await client.getExecution(id);
    if (states.includes(execution.state)) return execution;
    assert.ok(Date.now() < deadline, `${id} is ${execution.state}, not ${states}`);
    await sleep(20);
  }
}

// The client does not export its error classes: their names tell them apart.
async function rejection(promise) {
  const error = await promise.then(
    () => assert.fail("it should have been refused"),
    (error) => error,
  );
  return [error.constructor.name, error.message];
}

describe("enqueueing", () => {
  test("a call gives an execution, its arguments reach the function, its result comes back", async () => {
    const user = { name: "Zoë", tags: ["a", 1.5, null, { deep: [true] }] };
    const created = await functions.sendWelcomeEmail(user, "hi");
    assert.equal(created.functionName, "send_welcome_email");
    assert.ok(created.scheduledAt instanceof Date && Math.abs(created.scheduledAt - Date.now()) < 5_000);
    await until(created.id, "succeed");
    assert.deepEqual(await client.getExecutionResult(created.id), {
      to: "Zoë",
      subject: "hi",
      tags: user.tags,
    });
  });

  test("deferEnabled says that calls go to a server", () => assert.equal(client.deferEnabled(), true));

  test("awaitResult gives the value", async () => {
    assert.equal(await client.awaitResult(functions.add)(2, 3), 5);
  });

  test("awaitResult throws what the function raised", async () => {
    const [, message] = await rejection(client.awaitResult(functions.alwaysFails)("no luck"));
    assert.equal(message, "no luck");
  });

  test("a delay holds it back, as a duration and as a date", async () => {
    const inADay = await client.delay(functions.add, "1 day")(1);
    const at = new Date(Date.now() + 2 * DAY);
    const onADate = await client.assignOptions(functions.add, { delay: at })(1);
    assert.equal(inADay.state, "created");
    assert.ok(Math.abs(inADay.scheduledAt - Date.now() - DAY) < 5_000);
    assert.equal(onADate.scheduledAt.getTime(), at.getTime());
  });

  test("discardAfter gives up what has not started by then", async () => {
    const soon = client.discardAfter(client.delay(functions.add, "1h"), "100ms");
    await until((await soon(1)).id, "discarded");
    const later = await client.discardAfter(functions.add, "1h")(1);
    await until(later.id, "succeed");
  });

  test("a function that does not exist is refused, with the one that was meant", async () => {
    const [name, message] = await rejection(functions.missing({}));
    assert.equal(name, "DeferError");
    assert.match(message, /"400".*send_welcome_email/s);
  });

  test("a cron cannot be started", async () => {
    assert.match((await rejection(functions.nightly()))[1], /"400".*cron/s);
  });

  test("arguments that do not fit are refused, naming the parameter", async () => {
    assert.match((await rejection(functions.add()))[1], /"400".*left/s);
    assert.match((await rejection(functions.add(1, 2, 3)))[1], /"400".*too many/s);
  });

  test("metadata beyond the rules is refused", async () => {
    const many = Object.fromEntries(Array.from({ length: 26 }, (_, index) => [`k${index}`, "v"]));
    for (const metadata of [many, { key: "x".repeat(257) }, { key: "" }, { key: "é" }, { key: 1 }]) {
      assert.match((await rejection(client.addMetadata(functions.add, metadata)(1)))[1], /"400".*metadata/s);
    }
  });
});

describe("one execution", () => {
  test("a result that does not exist yet, or never will, is told apart", async () => {
    const waiting = await client.delay(functions.add, "1h")(1);
    const [yet] = await rejection(client.getExecutionResult(waiting.id));
    assert.equal(yet, "ExecutionResultNotAvailableYet");
    assert.equal((await client.cancelExecution(waiting.id)).state, "cancelled");
    const [never] = await rejection(client.getExecutionResult(waiting.id));
    assert.equal(never, "ExecutionResultNotAvailable");
  });

  test("a failed one has its error as result", async () => {
    const { id } = await functions.alwaysFails("no luck");
    await until(id, "failed");
    const { name, message, stack, code, ...rest } = await client.getExecutionResult(id);
    assert.deepEqual([name, message, code, rest], ["ValueError", "no luck", "ER0003", {}]);
    assert.match(stack, /always_fails\.py/);
  });

  test("an unknown id is not found, whatever is asked of it", async () => {
    for (const id of [UNKNOWN, "nonsense"]) {
      for (const ask of [
        client.getExecution,
        client.getExecutionResult,
        client.listExecutionAttempts,
        client.cancelExecution,
        client.rescheduleExecution,
        client.reRunExecution,
      ]) {
        assert.equal((await rejection(ask(id)))[0], "ExecutionNotFound");
      }
    }
  });

  test("a running one is aborted by force only, and what has ended is not", async () => {
    const { id } = await functions.sleeps(60);
    await until(id, "started");
    assert.equal((await rejection(client.cancelExecution(id)))[0], "ExecutionNotCancellable");
    assert.equal((await rejection(client.rescheduleExecution(id)))[0], "ExecutionNotReschedulable");
    assert.equal((await client.cancelExecution(id, true)).state, "aborting");
    await until(id, "aborted");
    assert.equal((await rejection(client.cancelExecution(id, true)))[0], "ExecutionNotCancellable");
  });

  test("a waiting one is rescheduled: to a duration, a date, or now", async () => {
    const { id } = await client.delay(functions.add, "1 day")(4);
    const later = await client.rescheduleExecution(id, "2 days");
    assert.ok(Math.abs(later.scheduledAt - Date.now() - 2 * DAY) < 5_000);
    const date = new Date(Date.now() + 3 * DAY);
    assert.equal((await client.rescheduleExecution(id, date)).scheduledAt.getTime(), date.getTime());
    await client.rescheduleExecution(id);
    await until(id, "succeed");
  });

  test("a rerun is a new execution with the same arguments", async () => {
    const { id } = await functions.add(20, 22);
    await until(id, "succeed");
    const rerun = await client.reRunExecution(id);
    assert.notEqual(rerun.id, id);
    await until(rerun.id, "succeed");
    assert.equal(await client.getExecutionResult(rerun.id), 42);
  });

  test("what a program calls that an execution started is a child of that execution", async () => {
    const script = join(import.meta.dirname, "child.js");
    const { id } = await functions.runsNode(process.execPath, script);
    await until(id, "succeed", "failed");
    const child = await client.getExecutionResult(id);
    const { data } = await client.listExecutions({}, { executedBy: id });
    assert.deepEqual(data.map((execution) => execution.id), [child]);
  });

  test("attempts are listed, newest first", async () => {
    const { id } = await functions.failsTwice();
    await until(id, "succeed");
    const { data, pageInfo } = await client.listExecutionAttempts(id, { first: 2 });
    assert.deepEqual(data.map((attempt) => [attempt.id, attempt.state]), [
      [`${id}.3`, "succeed"],
      [`${id}.2`, "failed"],
    ]);
    assert.equal(pageInfo.hasNextPage, true);
    const failed = await client.listExecutionAttempts(id, undefined, { states: ["failed"] });
    assert.equal(failed.data.length, 2);
    assert.equal((await client.getExecutionTries(id)).data.length, 3);
    assert.equal((await client.getExecution(`${id}.1`)).state, "failed");
  });
});

describe("lists", () => {
  const campaign = `spring-${process.pid}`;
  let ids;

  before(async () => {
    ids = [];
    for (let index = 0; index < 5; index++) {
      const metadata = { campaign, index: String(index) };
      const call = client.assignOptions(functions.add, { delay: "1 day", metadata });
      ids.unshift((await call(index)).id);
    }
  });

  const filters = () => ({ metadata: [{ key: "campaign", values: [campaign] }] });

  test("pages go forward and back, and show every execution once", async () => {
    const forward = [];
    let after;
    for (;;) {
      const page = await client.listExecutions({ first: 2, ...(after ? { after } : {}) }, filters());
      forward.push(...page.data.map(({ id }) => id));
      after = page.pageInfo.endCursor;
      if (!page.pageInfo.hasNextPage) break;
      await client.assignOptions(functions.add, { metadata: { campaign: "other" } })(1);
    }
    assert.deepEqual(forward, ids);

    const oldest = await client.listExecutions({ last: 2 }, filters());
    assert.deepEqual(oldest.data.map(({ id }) => id), ids.slice(3));
    assert.deepEqual([oldest.pageInfo.hasPrevPage, oldest.pageInfo.hasNextPage], [true, false]);
    const before = { last: 10, before: oldest.pageInfo.startCursor };
    const rest = await client.listExecutions(before, filters());
    assert.deepEqual(rest.data.map(({ id }) => id), ids.slice(0, 3));
  });

  test("filters are ANDed, their values ORed, and empty ones match all", async () => {
    const some = { ...filters(), states: ["created", "failed"] };
    some.metadata.push({ key: "index", values: ["0", "3"] });
    const { data } = await client.listExecutions(undefined, some);
    assert.deepEqual(data.map(({ id }) => id), [ids[1], ids[4]]);
    const empty = { ...filters(), states: [], functionIds: [], errorCodes: [], executedBy: undefined };
    assert.equal((await client.listExecutions({ first: 10 }, empty)).data.length, 5);
    const byFunction = { ...filters(), functionIds: [data[0].functionId] };
    assert.equal((await client.listExecutions({}, byFunction)).data.length, 5);
    assert.equal((await client.listExecutions({}, { ...filters(), states: ["succeed"] })).data.length, 0);
  });

  test("intervals of time include their ends", async () => {
    const newest = await client.getExecution(ids[0]);
    const around = (from, to) => ({ ...filters(), scheduleAt: { from, to } });
    const hit = around(new Date(Date.now() + DAY / 2), new Date(Date.now() + 2 * DAY));
    assert.equal((await client.listExecutions({}, hit)).data.length, 5);
    const miss = around(new Date(0), new Date());
    assert.equal((await client.listExecutions({}, miss)).data.length, 0);
    const exact = around(newest.scheduledAt, newest.scheduledAt);
    assert.ok((await client.listExecutions({}, exact)).data.some(({ id }) => id === ids[0]));
    const started = { ...filters(), startedAt: { from: new Date(0), to: new Date() } };
    assert.equal((await client.listExecutions({}, started)).data.length, 0);
  });

  test("wrong pages and filters are refused, naming the field", async () => {
    const refused = async (page, filters) => (await rejection(client.listExecutions(page, filters)))[1];
    assert.match(await refused({ first: 0 }), /"400".*first/s);
    assert.match(await refused({ first: 1_001 }), /"400".*first/s);
    assert.match(await refused({ first: 1, last: 1 }), /"400".*last/s);
    assert.match(await refused({ after: "nonsense" }), /"400".*cursor/s);
    assert.match(await refused({}, { states: ["nonsense"] }), /"400".*states/s);
    assert.match(await refused({}, { errorCodes: ["ER9"] }), /"400".*error_codes/s);
  });
});

// The last one: it moves the clock of this emulator.
test("after the clock is advanced, times of this process's own clock are understood", async () => {
  await emulator.moveClock(3 * DAY);
  const shifted = Date.now() + 3 * DAY;
  const inADay = await client.delay(functions.add, "1 day")(1);
  assert.ok(Math.abs(inADay.scheduledAt - shifted - DAY) < 10_000);
  const kept = await client.discardAfter(functions.add, "5m")(1);
  await until(kept.id, "succeed");
  const moved = await client.rescheduleExecution(inADay.id, "2h");
  assert.ok(Math.abs(moved.scheduledAt - shifted - DAY / 12) < 10_000);
});
