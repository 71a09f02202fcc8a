// The two snippets of "Advanced Scheduling with the Defer public API v2" in a real Next.js application, over
// the functions of examples/document_processing. Needs `npm ci && npm run build` in next/.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { startEmulator } from "./emulator.js";

const here = join(import.meta.dirname, "next");
const manifest = join(here, ".next/server/server-reference-manifest.json");
const example = join(import.meta.dirname, "../../examples/document_processing");
const START_TIME = 30_000; // ms
const END_TIME = 20_000;

describe("a Next.js application", { skip: !existsSync(manifest) && "it is not built" }, () => {
  let emulator, next, address, actions;

  before(async () => {
    emulator = await startEmulator(example);
    const port = await freePort();
    address = `http://localhost:${port}`;
    next = await startNext(port, emulator.url);
    actions = Object.entries(JSON.parse(await readFile(manifest, "utf8")).node);
  });

  after(async () => {
    next?.kill();
    await emulator?.stop();
  });

  async function startNext(port, endpoint) {
    const command = [join(here, "node_modules/next/dist/bin/next"), "start", "--port", String(port)];
    const env = { ...process.env, DEFER_ENDPOINT: endpoint, DEFER_TOKEN: "anything", NEXT_TELEMETRY_DISABLED: "1" };
    const child = spawn(process.execPath, command, { cwd: here, env });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    const deadline = Date.now() + START_TIME;
    while (Date.now() < deadline && child.exitCode === null) {
      const answer = await fetch(address).catch(() => undefined);
      if (answer) return child;
      await sleep(50);
    }
    child.kill();
    throw new Error(`next start did not become ready:\n${output}`);
  }

  async function enqueue(userId, name) {
    const answer = await fetch(`${address}/api/documents`, {
      method: "POST",
      body: JSON.stringify({ userId, name }),
    });
    assert.equal(answer.status, 202, await answer.clone().text());
    return (await answer.json()).id;
  }

  // As a Client Component calls a Server Action: the arguments go in React's own format, and so does the answer.
  async function list(...args) {
    const [id] = actions.find(([, { workers }]) => Object.keys(workers)[0].startsWith("app/documents/"));
    const answer = await fetch(`${address}/documents/${args[0]}`, {
      method: "POST",
      headers: { "Next-Action": id, "Content-Type": "text/plain;charset=UTF-8", Origin: address },
      body: JSON.stringify(args),
    });
    assert.equal(answer.status, 200);
    const [, row] = (await answer.text()).match(/^1:(\{.*\})$/m);
    return JSON.parse(row);
  }

  async function ended(userId, id) {
    const deadline = Date.now() + END_TIME;
    for (;;) {
      const { processings } = await list(userId);
      const found = processings.find((processing) => processing.id === id);
      if (["succeed", "failed"].includes(found?.status)) return found;
      assert.ok(Date.now() < deadline, `${id} is ${found?.status}`);
      await sleep(50);
    }
  }

  test("it enqueues Python functions and lists those of one user by their metadata", async () => {
    const transcript = await enqueue("ada", "talk.mp4");
    const summary = await enqueue("ada", "report.txt");
    await enqueue("bo", "report.txt");
    assert.equal((await ended("ada", summary)).type, "summarization");
    const failed = await ended("ada", transcript);
    assert.deepEqual([failed.status, failed.type], ["failed", "transcript"]);
    assert.ok(Math.abs(new Date(failed.createdAt.replace("$D", "")) - Date.now()) < END_TIME);
    const page = await list("ada");
    assert.deepEqual(page.processings.map(({ id }) => id), [summary, transcript]);
    assert.equal(page.hasNextPage, false);
  });

  test("its cursor leads to the next page", async () => {
    const ids = [];
    for (let number = 0; number < 55; number++) ids.unshift(await enqueue("many", "report.txt"));
    const first = await list("many");
    assert.deepEqual(first.processings.map(({ id }) => id), ids.slice(0, 50));
    assert.equal(first.hasNextPage, true);
    const second = await list("many", first.cursor);
    assert.deepEqual(second.processings.map(({ id }) => id), ids.slice(50));
    assert.equal(second.hasNextPage, false);
  });

  test("the button of the form runs a failed one again", async () => {
    const id = await enqueue("cy", "talk.mp4");
    assert.equal((await ended("cy", id)).status, "failed");
    const uploads = join(emulator.root, "uploads/cy");
    await mkdir(uploads);
    await copyFile(join(example, "later/talk.mp4.vtt"), join(uploads, "talk.mp4.vtt"));

    const html = await (await fetch(`${address}/documentProcessing/${id}`)).text();
    assert.match(html, /Re-run processing/);
    const form = new FormData();
    for (const [, name, value = ""] of html.matchAll(/<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?/g)) {
      form.append(name, value.replaceAll("&quot;", '"'));
    }
    const submitted = await fetch(`${address}/documentProcessing/${id}`, {
      method: "POST",
      headers: { Origin: address },
      body: form,
    });
    assert.equal(submitted.status, 200);
    const { processings } = await list("cy");
    assert.equal(processings.length, 2);
    const again = await ended("cy", processings[0].id);
    assert.deepEqual([again.status, again.type], ["succeed", "transcript"]);
    const rerun = await (await fetch(`${emulator.url}/public/v2/executions/${again.id}`)).json();
    assert.equal(rerun.data.rerun_of, id);
  });
});

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
