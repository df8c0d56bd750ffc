/** Limits in words. */
import type { Queue } from "../../api/types";
import { durationText } from "../../parts/time";

/** Each limit that is set, in a few words. */
export function limitsInWords({ concurrency, rateLimit }: Pick<Queue, "concurrency" | "rateLimit">): string[] {
  const found: string[] = [];
  if (concurrency !== null) found.push(`${concurrency.toLocaleString()} at once`);
  if (rateLimit !== null) found.push(`${rateLimit.max.toLocaleString()} per ${durationText(rateLimit.duration)}`);
  return found;
}

/** The limits as somebody types them, with a duration in seconds as on the command line; empty is no limit. */
export interface LimitFields {
  concurrency: string | number;
  max: string | number;
  duration: string | number;
}

export function fieldsOf({ concurrency, rateLimit }: Pick<Queue, "concurrency" | "rateLimit">): LimitFields {
  return { concurrency: concurrency ?? "", max: rateLimit?.max ?? "", duration: rateLimit === null ? "" : rateLimit.duration / 1_000 };
}

export function sameFields(one: LimitFields, other: LimitFields): boolean {
  return one.concurrency === other.concurrency && one.max === other.max && one.duration === other.duration;
}

/** What is wrong with them as they stand, by field. */
export function faultsIn({ concurrency, max, duration }: LimitFields): Partial<Record<keyof LimitFields, string>> {
  const isPartial = (max === "") !== (duration === "");
  return {
    ...(!isEmptyOrFrom(1, concurrency) && { concurrency: "It must be 1 or more" }),
    ...(!isEmptyOrFrom(1, max) && { max: "It must be 1 or more" }),
    ...(!isEmptyOrFrom(0.001, duration) && { duration: "It must be more than 0" }),
    ...(isPartial && (max === "" ? { max: "How many jobs?" } : { duration: "In how many seconds?" })),
  };
}

function isEmptyOrFrom(least: number, typed: string | number): boolean {
  return typed === "" || Number(typed) >= least;
}

/** What is sent. */
export function requestOf({ concurrency, max, duration }: LimitFields): object {
  const rate = { ...(max !== "" && { max }), ...(duration !== "" && { duration: Math.round(Number(duration) * 1_000) }) };
  return { concurrency: concurrency === "" ? null : concurrency, rateLimit: Object.keys(rate).length === 0 ? null : rate };
}
