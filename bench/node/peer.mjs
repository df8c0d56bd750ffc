// BullMQ for Node as a bare program: a FlowProducer and a Worker in one process, the measured work, nothing kept.
//
//     node peer.mjs '{"mode": "burst", "url": "unix://…", "flows": 1000, "clients": 16, "concurrency": 100}'
//
// Prints one line of JSON. Seconds everywhere. The parents check their ten values; the program checks every parent's result.

import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

// BullMQ is installed for the tests, with its lock file there.
const require = createRequire(new URL("../../tests/node/", import.meta.url));
const { FlowProducer, Queue, QueueEvents, Worker } = require("bullmq");
const Redis = require("ioredis").default ?? require("ioredis");

const QUEUE = "bench";
const CHILDREN = 10;
const EXPECTED = (CHILDREN * (CHILDREN - 1)) / 2;
const wish = JSON.parse(process.argv[2]);

const now = () => (performance.timeOrigin + performance.now()) / 1000;

function connect() {
  return new Redis({ path: decodeURIComponent(wish.url.slice("unix://".length)), maxRetriesPerRequest: null });
}

const handlers = {
  child: async (job) => job.data,

  parent: async (job) => {
    const values = Object.values(await job.getChildrenValues());
    if (values.length !== job.data) throw new Error(`${values.length} values from ${job.data} children`);
    return values.reduce((sum, value) => sum + value, 0);
  },

  // When it returned.
  "noted-child": async () => now(),

  // When it began, and when the last of its children had returned.
  "noted-parent": async (job) => {
    const began = now();
    const values = Object.values(await job.getChildrenValues());
    if (values.length !== job.data) throw new Error(`${values.length} values from ${job.data} children`);
    return { began, last: Math.max(...values), returned: now() };
  },
};

function flow(kind = "", children = CHILDREN, queueName = QUEUE) {
  const below = Array.from({ length: children }, (_, n) => ({ name: `${kind}child`, queueName, data: n }));
  return { name: `${kind}parent`, queueName, data: children, children: below };
}

// Tells of each parent that has completed, by its id; a failed job ends the program.
class Ends {
  #waiting = new Map();
  #ended = new Map();

  constructor(worker) {
    worker.on("completed", (job, result) => {
      if (!job.name.endsWith("parent")) return;
      const at = now();
      const resolve = this.#waiting.get(job.id);
      if (resolve) resolve({ at, result });
      else this.#ended.set(job.id, { at, result });
      this.#waiting.delete(job.id);
    });
    worker.on("failed", (_job, error) => {
      console.error(error);
      process.exit(1);
    });
  }

  // The instant and the result of this parent.
  async of(id) {
    const ended = this.#ended.get(id);
    this.#ended.delete(id);
    return ended ?? new Promise((resolve) => this.#waiting.set(id, resolve));
  }
}

const modes = {
  // All flows as fast as they go, `bulk` in one addBulk; from the first submit to the last result.
  async burst({ flows, clients, bulk }, producer, ends) {
    let left = flows;
    const parents = [];
    const start = now();
    const submit = async () => {
      while (left > 0) {
        const count = Math.min(bulk, left);
        left -= count;
        const added =
          count === 1 ? [await producer.add(flow())] : await producer.addBulk(Array.from({ length: count }, () => flow()));
        for (const { job } of added) parents.push(ends.of(job.id));
      }
    };
    await Promise.all(Array.from({ length: clients }, submit));
    const ended = await Promise.all(parents);
    const seconds = now() - start;
    if (ended.length !== flows || ended.some(({ result }) => result !== EXPECTED)) throw new Error("wrong results");
    return { seconds };
  },

  // One flow at a time on an idle system.
  async lone({ runs }, producer, ends) {
    const whole = [];
    const gaps = [];
    for (let run = 0; run < runs; run++) {
      const start = now();
      const { job } = await producer.add(flow("noted-"));
      const { at, result } = await ends.of(job.id);
      whole.push(at - start);
      gaps.push(result.began - result.last);
      await pause(10);
    }
    return { whole, gaps };
  },

  // So many flows a second, whether the ones before have ended or not.
  async rate({ rate, seconds, events: listen }, producer, ends) {
    const whole = [];
    const gaps = [];
    const heard = [];
    const events = listen ? new QueueEvents(QUEUE, { connection: connect() }) : undefined;
    if (events) {
      await events.waitUntilReady();
      events.on("completed", ({ returnvalue }) => heard.push(now() - (returnvalue.returned ?? returnvalue)));
    }
    const running = [];
    const start = now();
    const total = Math.round(rate * seconds);
    for (let n = 0; n < total; n++) {
      const due = start + n / rate;
      if (due > now()) await pause((due - now()) * 1000);
      const one = async () => {
        const { job } = await producer.add(flow("noted-"));
        const { at, result } = await ends.of(job.id);
        whole.push(at - due);
        gaps.push(result.began - result.last);
      };
      running.push(one());
    }
    await Promise.all(running);
    const took = now() - start;
    if (events) {
      while (heard.length < total * (CHILDREN + 1)) await pause(10);
      await events.close();
    }
    return { whole, gaps, heard, took };
  },

  // One flow of `jobs` jobs that nobody works on: add it, read it, take it out.
  async sizes({ jobs, runs }, producer) {
    const create = [];
    const read = [];
    const cancel = [];
    const queue = new Queue("bench-nobody", { connection: connect() });
    for (let run = 0; run < runs; run++) {
      let start = now();
      const { job } = await producer.add(flow("", jobs - 1, "bench-nobody"));
      create.push(now() - start);
      start = now();
      const tree = await producer.getFlow({ queueName: "bench-nobody", id: job.id, maxChildren: jobs });
      if (tree.children.length !== jobs - 1) throw new Error(`${tree.children.length} children read`);
      read.push(now() - start);
      start = now();
      await job.remove({ removeChildren: true });
      cancel.push(now() - start);
    }
    await queue.close();
    return { create, read, cancel };
  },
};

const producer = new FlowProducer({ connection: connect() });
const run = async (job) => handlers[job.name](job);
const worker = new Worker(QUEUE, run, { connection: connect(), concurrency: wish.concurrency });
worker.on("error", (error) => console.error(error));
await worker.waitUntilReady();
const ends = new Ends(worker);
// The first flow of a process pays for the scripts and the compiler.
for (let n = 0; n < 20; n++) await ends.of((await producer.add(flow())).job.id);
const answer = await modes[wish.mode](wish, producer, ends);
process.stdout.write(JSON.stringify(answer) + "\n", () => process.exit(0));
