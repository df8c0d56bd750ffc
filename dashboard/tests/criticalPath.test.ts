import { describe, expect, test } from "vitest";
import { Jobs, type OutlinedJob } from "../src/board/jobs";
import { criticalPath, type CriticalPath } from "../src/pages/flow/timeline/criticalPath";
import { historyOf } from "../src/pages/flow/timeline/history";
import { Chance } from "./support/chance";
import { instant } from "./support/events";
import { outlined, ran } from "./support/trees";

describe("the critical path", () => {
  test("of one job is that job, and its time in the queue and at work", () => {
    expect(pathOf([ran("film", 20, 50)])).toEqual({
      steps: [{ id: "film", from: 0, to: 50, running: 30, waiting: 20 }],
      total: 50,
      running: 30,
      waiting: 20,
    });
  });

  test("goes through the child that ended last, at each level", () => {
    const path = pathOf([
      ran("film", 110, 150),
      ran("film/early", 0, 30),
      ran("film/late", 70, 100),
      ran("film/late/early", 0, 20),
      ran("film/late/late", 10, 60),
    ]);

    expect(path.steps.map(({ id, from, to, running, waiting }) => [id, from, to, running, waiting])).toEqual([
      ["film/late/late", 0, 60, 50, 10],
      ["film/late", 60, 100, 30, 10],
      ["film", 100, 150, 40, 10],
    ]);
    expect([path.total, path.running, path.waiting]).toEqual([150, 120, 30]);
  });

  test("of a flow that runs ends now, with the child that has been running for longest", () => {
    const path = pathOf(
      [outlined("film", { status: "waiting-children" }), ran("film/done", 0, 90), ran("film/a", 30, null), ran("film/b", 20, null)],
      200,
    );

    expect(path.steps).toMatchObject([
      { id: "film/b", from: 0, to: 200, running: 180, waiting: 20 },
      { id: "film", from: 200, to: 200 },
    ]);
  });

  test("goes through the one that has ended, of two that seem to end together", () => {
    const path = pathOf([ran("film", 100, 150), ran("film/open", 10, null), ran("film/ended", 20, 100)]);

    expect(path.steps[0]?.id).toBe("film/ended");
  });

  test.each([
    ["film/needed", "film/ignored"],
    ["film/ignored", "film/needed"],
  ])("does not go through a child that its parent did not wait for (%s, %s)", (...ids) => {
    const children = ids.map((id) => ran(id, 0, id === "film/needed" ? 60 : 140));

    expect(pathOf([ran("film", 60, 150), ...children]).steps.map(({ id }) => id)).toEqual(["film/needed", "film"]);
  });

  test("goes on with the job that added the one on it, from when it was added", () => {
    const path = pathOf([ran("film", 100, 150), ran("film/grown", 50, 90, { createdAt: instant(40) })]);

    expect(path.steps.map(({ id, from, to }) => [id, from, to])).toEqual([
      ["film", 0, 40],
      ["film/grown", 40, 90],
      ["film", 90, 150],
    ]);
  });

  test("of a flow without jobs is empty", () => {
    expect(pathOf([])).toEqual({ steps: [], total: 0, running: 0, waiting: 0 });
  });
});

test("whatever a flow did, the steps of its path join on to one another, up to its end, and are all of its time", () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const { steps, total, running, waiting } = pathOf(aFlowThatRan(new Chance(seed)), 10_000);

    const message = `seed ${seed}`;
    expect(steps.at(-1)?.id, message).toBe("root");
    expect(steps.map(({ from }) => from).slice(1), message).toEqual(steps.map(({ to }) => to).slice(0, -1));
    expect(steps.every((step) => step.running >= 0 && step.waiting >= 0), message).toBe(true);
    expect(steps.every((step) => step.running + step.waiting === step.to - step.from), message).toBe(true);
    expect([running + waiting, (steps.at(-1)?.to ?? 0) - (steps[0]?.from ?? 0)], message).toEqual([total, total]);
  }
});

function pathOf(outline: OutlinedJob[], now = 1_000): CriticalPath {
  const jobs = new Jobs(outline);
  return criticalPath(jobs, (job) => historyOf(job, jobs, new Map()), now);
}

/** Jobs of random length, each begun some time after the last of its children; some run yet, some were added late. */
function aFlowThatRan(chance: Chance): OutlinedJob[] {
  const ids = ["root"];
  for (let more = chance.below(12); more > 0; more -= 1) ids.push(`${chance.one(ids)}/${ids.length}`);
  const ends = new Map<string, number | null>();
  const jobs = [...ids].reverse().map((id) => {
    const children = ids.filter((other) => other.startsWith(`${id}/`)).map((other) => ends.get(other) ?? null);
    if (children.includes(null)) {
      ends.set(id, null);
      return outlined(id, { status: "waiting-children" });
    }
    const from = Math.max(0, ...children.map((end) => end ?? 0)) + chance.below(50);
    const to = chance.below(10) === 0 ? null : from + chance.below(200);
    ends.set(id, to);
    return ran(id, from, to, { createdAt: instant(id === "root" ? 0 : Math.min(from, chance.below(60))) });
  });
  return jobs.reverse();
}
