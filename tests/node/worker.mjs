// A worker as BullMQ's users write it for Node. It knows nothing of bullflow, and has the same handlers
// as tests/support/any_worker.py, so that the tests can compare what becomes of the same flows.
//
//     node worker.mjs '{"url": "redis://… or unix://…", "prefix": "…", "queue": "…", …}'
//
// Whatever else stands in the argument goes to BullMQ's Worker as its options. Says "ready" when it
// works, and ends at SIGTERM once its running jobs have.

import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { DelayedError, Queue, UnrecoverableError, WaitingChildrenError, Worker } from "bullmq";
import Redis from "ioredis";

const handlers = {
  // Returns its data.
  give: async (job) => job.data,

  // Returns nothing.
  nothing: async () => {},

  // Returns the sum of what its children have returned.
  sum: async (job) => Object.values(await job.getChildrenValues()).reduce((sum, value) => sum + value, 0),

  // Returns what its children have returned, and why others have failed.
  "take-stock": async (job) => ({
    values: Object.values(await job.getChildrenValues()).sort(),
    failures: Object.values(await job.getIgnoredChildrenFailures()).sort(),
  }),

  // Goes on without those children that have not begun; returns why the others have failed.
  "go-on": async (job) => {
    await job.removeUnprocessedChildren();
    return Object.values(await job.getIgnoredChildrenFailures()).sort();
  },

  // Fails as often as its data says, then returns the number of its attempt.
  "fail-first": async (job) => {
    const attempt = job.attemptsMade + 1;
    if (attempt <= job.data.times) throw new Error(`attempt ${attempt}`);
    return attempt;
  },

  // Fails whenever it is tried.
  fail: async (job) => {
    throw new Error(job.data.reason);
  },

  // Fails, and must not be tried again.
  "give-up": async (job) => {
    throw new UnrecoverableError(job.data.reason);
  },

  // Fails unless the file of its data exists; else returns the sum of what its children have returned.
  "need-file": async (job) => {
    if (!existsSync(job.data.path)) throw new Error("no file");
    return handlers.sum(job);
  },

  // Reports each step of its data as progress and in its log.
  report: async (job) => {
    for (const step of job.data.steps) {
      await job.updateProgress(step);
      await job.log(`step ${JSON.stringify(step)}`);
    }
    return "reported";
  },

  // Says that it waits, as progress, and runs until the file of its data exists; returns which kind of worker it was.
  "until-file": async (job) => {
    await job.updateProgress("waiting");
    while (!existsSync(job.data.path)) await pause(20);
    return "node";
  },
};

// What bullflow's own worker has no word for.
const besides = {
  // Comes back later as often as its data says.
  "put-off": async (job, token) => {
    const { times } = job.data;
    if (times === 0) return "at last";
    await job.updateData({ times: times - 1 });
    await job.moveToDelayed(Date.now() + 20, token);
    throw new DelayedError();
  },

  // Adds a child for each value of its data, and returns the sum of what they have returned.
  "bring-children": async (job, token) => {
    const { values } = job.data;
    const parent = { id: job.id, queue: job.queueQualifiedName };
    await children.addBulk(values.map((data) => ({ name: "give", data, opts: { parent } })));
    await job.updateData({ values: [] });
    if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
    return handlers.sum(job);
  },
};

function connected(url) {
  const needed = { maxRetriesPerRequest: null };
  if (!url.startsWith("unix:")) return new Redis(url, needed);
  return new Redis({ path: decodeURIComponent(url.slice("unix://".length)), ...needed });
}

const { url, queue, ...options } = JSON.parse(process.argv[2]);
const connection = connected(url);
const children = new Queue(queue, { connection, prefix: options.prefix });
const run = async (job, token) => (handlers[job.name] ?? besides[job.name])(job, token);
const worker = new Worker(queue, run, { connection, ...options });

worker.on("error", (error) => console.error(error));
await worker.waitUntilReady();
process.once("SIGTERM", async () => {
  await worker.close();
  await children.close();
  await connection.quit();
});
console.log("ready");
