// A real `defer dev` in a copy of a project, on a free port.

import { execFile, spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const here = import.meta.dirname;
const ours = join(here, "../../.venv/bin/defer");
const command = process.env.DEFER_COMMAND ?? (existsSync(ours) ? ours : "defer");
const python = command === "defer" ? "python3" : join(dirname(command), "python");
const MOVE_CLOCK = `
import sys
from pathlib import Path
from defer_emulator.store.store import Store
with Store.open(Path.cwd()).write() as transaction:
    transaction.set_clock(offset=int(sys.argv[1]) * 1000, frozen_at=None)
`;
const START_TIME = 20_000; // ms
const STOP_TIME = 10_000;

export async function startEmulator(project = join(here, "project")) {
  const root = await mkdtemp(join(tmpdir(), "defer-javascript-"));
  await cp(project, root, { recursive: true });
  const env = { ...process.env, DEFER_ENDPOINT: "", DEFER_TOKEN: "" };
  const child = spawn(command, ["dev", "--port", "0"], { cwd: root, env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  const ended = new Promise((resolve) => child.on("exit", resolve));

  async function stop() {
    child.kill("SIGTERM");
    await Promise.race([ended, sleep(STOP_TIME, undefined, { ref: false })]);
    child.kill("SIGKILL");
    await rm(root, { recursive: true, force: true });
  }

  try {
    const url = await ready(root, child, () => output);
    const moveClock = (ms) => promisify(execFile)(python, ["-c", MOVE_CLOCK, String(ms)], { cwd: root, env });
    return { root, url, moveClock, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function ready(root, child, output) {
  const deadline = Date.now() + START_TIME;
  while (Date.now() < deadline && child.exitCode === null) {
    try {
      const { url } = JSON.parse(await readFile(join(root, ".defer/emulator.json"), "utf8"));
      if ((await fetch(`${url}/health`)).status === 200) return url;
    } catch {
      // not yet
    }
    await sleep(20);
  }
  throw new Error(`defer dev did not become ready:\n${output()}`);
}
