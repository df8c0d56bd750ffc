/** Trees of jobs in which the id of a job is the way to it: `video/thumbnail/download`. */
import { Jobs, type OutlinedJob } from "../../src/board/jobs";
import { instant } from "./events";

export function outlined(id: string, fields: Partial<OutlinedJob> = {}): OutlinedJob {
  return {
    id,
    parentId: parentOf(id),
    name: id.split("/").at(-1) ?? id,
    queueName: "films",
    status: "waiting",
    attemptsMade: 0,
    run: 1,
    createdAt: instant(0),
    startedAt: null,
    finishedAt: null,
    worker: null,
    ...fields,
  };
}

/** A job that ran between these two milliseconds; that runs yet when there is no second. */
export function ran(id: string, from: number, to: number | null, fields: Partial<OutlinedJob> = {}): OutlinedJob {
  return outlined(id, {
    status: to === null ? "active" : "completed",
    attemptsMade: to === null ? 0 : 1,
    startedAt: instant(from),
    finishedAt: to === null ? null : instant(to),
    ...fields,
  });
}

/** Jobs of which nothing matters but how they hang together. */
export function aTree(...ids: string[]): Jobs {
  return new Jobs(ids.map((id) => outlined(id)));
}

/** A parent with so many children. */
export function aFan(children: number): Jobs {
  return aTree("root", ...Array.from({ length: children }, (_, place) => `root/${place}`));
}

export function parentOf(id: string): string | null {
  const end = id.lastIndexOf("/");
  return end < 0 ? null : id.slice(0, end);
}
