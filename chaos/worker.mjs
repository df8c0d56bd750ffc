// The handlers of handlers.py once more, for BullMQ's own worker, which knows nothing of bullflow.
//
//     node worker.mjs '{"modules": "…/tests/node/", "url": "unix://…", "queue": "…", "names": ["a", …]}'

import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

const { modules, url, queue, ...options } = JSON.parse(process.argv[2]);
const require = createRequire(modules);
const { UnrecoverableError, Worker } = require("bullmq");
const Redis = require("ioredis");

function note(what, job) {
  const line = [what, job.id, job.attemptsMade + 1, Date.now() / 1000, performance.now() / 1000, process.pid];
  appendFileSync(process.env.CHAOS_NOTES, `${JSON.stringify(line)}\n`);
}

async function handle(job) {
  const { label, seed, ms, fails, hopeless, alone } = job.data;
  await pause(ms);
  if (fails < 0 && hopeless) throw new UnrecoverableError(`${label} is hopeless`);
  if (fails < 0 || job.attemptsMade + 1 <= fails) throw new Error(`${label} fails`);
  let text = String(seed);
  if (alone) await job.removeUnprocessedChildren();
  else {
    const byName = {};
    for (const { name, hash } of Object.values(await job.getChildrenValues())) (byName[name] ??= []).push(hash);
    const given = Object.keys(byName).sort().map((name) => `${name}=${byName[name].sort().join(",")}`);
    text += `|${given.join(";")}|${Object.keys(await job.getIgnoredChildrenFailures()).length}`;
  }
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { name: job.name, label, hash };
}

async function run(job) {
  note("start", job);
  try {
    const result = await handle(job);
    note("end", job);
    return result;
  } catch (error) {
    note("failure", job);
    throw error;
  }
}

const connection = new Redis({ path: decodeURIComponent(url.slice("unix://".length)), maxRetriesPerRequest: null });
connection.on("error", (error) => console.error(String(error)));
const worker = new Worker(queue, run, { connection, ...options });
worker.on("error", (error) => console.error(String(error)));
await worker.waitUntilReady();
console.log("worker.started");
