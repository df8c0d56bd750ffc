/** Whatever happens to the jobs of a flow, the counts that are kept up are those of a recount. */
import { expect, test } from "vitest";
import { hasEnded, JOB_STATUSES, type JobStatus } from "../src/api/types";
import { Jobs, placeOf, type BoardJob } from "../src/board/jobs";
import { Chance } from "./support/chance";
import { anEntry } from "./support/events";
import { outlined } from "./support/trees";

const FLOWS = 100;
const ENTRIES = 80;

test.each([
  ["as it is outlined", 0],
  ["after each entry", ENTRIES],
])("the counts of all levels are those of a recount, %s", (_, entries) => {
  for (let seed = 1; seed <= FLOWS; seed += 1) {
    const chance = new Chance(seed);
    const jobs = someTree(chance);
    expectCountsToHold(jobs, `seed ${seed}`);
    for (let seq = 1; seq <= entries; seq += 1) {
      const told = something(chance, jobs, seq);
      jobs.fold(told);
      expectCountsToHold(jobs, `seed ${seed}, entry ${seq}: ${told.event} ${told.id}`);
    }
  }
});

test("of two seeds the flows differ, of one they do not", () => {
  const idsOf = (seed: number) => [...someTree(new Chance(seed)).byId.keys()];

  expect(idsOf(1)).toEqual(idsOf(1));
  expect(new Set(Array.from({ length: 20 }, (_, seed) => idsOf(seed).join())).size).toBeGreaterThan(10);
});

/** From one job up to thirty, in any states, each below any of those before it. */
function someTree(chance: Chance): Jobs {
  const ids = ["root"];
  for (let more = chance.below(30); more > 0; more -= 1) ids.push(`${chance.one(ids)}/${ids.length}`);
  return new Jobs(ids.map((id) => outlined(id, { status: chance.one(JOB_STATUSES) })));
}

/** Anything that can stand in a log, and much that cannot. */
function something(chance: Chance, jobs: Jobs, seq: number) {
  const job = chance.one([...jobs.byId.values()]);
  const status = chance.one(JOB_STATUSES);
  switch (chance.below(6)) {
    case 0:
      return anEntry(seq, chance.one(["flow.dispatched", "flow.retried"] as const), null, { status });
    case 1:
      return anEntry(seq, "job.waiting", `${job.id}/grown-${seq}`, { status, parentId: job.id, name: "grown", queueName: "films" });
    case 2:
      return anEntry(seq, "job.waiting", job.id, { status: hasEnded(job.status) ? status : "waiting", run: job.run + 1 });
    case 3:
      return anEntry(seq, "job.active", `elsewhere-${seq}`, { status });
    case 4:
      return anEntry(seq, chance.one(["job.active", "job.retrying", "job.delayed"] as const), job.id, {});
    default:
      return anEntry(seq, eventOf(status), job.id, { status });
  }
}

function eventOf(status: JobStatus) {
  switch (status) {
    case "active":
    case "completed":
    case "failed":
    case "cancelled":
    case "delayed":
      return `job.${status}` as const;
    default:
      return "job.waiting" as const;
  }
}

function expectCountsToHold(jobs: Jobs, when: string): void {
  const below = recount(jobs);
  for (const job of jobs.byId.values()) {
    if (job.below.join() !== below.get(job.id)?.join()) expect(job.below, `below ${job.id}, ${when}`).toEqual(below.get(job.id));
  }
  expect(jobs.counts, when).toEqual(counted([...jobs.byId.values()]));
}

function recount(jobs: Jobs): Map<string, number[]> {
  const inside = new Map<string, BoardJob[]>([...jobs.byId.keys()].map((id) => [id, []]));
  for (const job of jobs.byId.values()) for (const above of jobs.above(job.id)) inside.get(above.id)?.push(job);
  return new Map([...inside].map(([id, found]) => [id, counted(found)]));
}

function counted(found: readonly BoardJob[]): number[] {
  const counts = JOB_STATUSES.map(() => 0);
  for (const { status } of found) counts[placeOf(status)]! += 1;
  return counts;
}
