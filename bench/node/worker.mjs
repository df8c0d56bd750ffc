// BullMQ's own worker for Node with handlers that do nothing.
//
//     node worker.mjs '{"url": "unix://…", "queue": "…", "concurrency": 50}'

import { createRequire } from "node:module";

// Installed for the tests; the bench needs no second copy.
const require = createRequire(new URL("../../tests/node/", import.meta.url));
const { Worker } = require("bullmq");
const { Redis } = require("ioredis");

const { url, queue, concurrency } = JSON.parse(process.argv[2]);
const path = decodeURIComponent(url.slice("unix://".length));
const connection = new Redis({ path, maxRetriesPerRequest: null });
const worker = new Worker(queue, async () => {}, { connection, concurrency });

worker.on("error", (error) => console.error(error));
