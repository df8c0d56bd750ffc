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

/** The limits as somebody types them; empty is no limit. */
export interface LimitFields {
  concurrency: string | number;
  max: string | number;
  duration: string | number;
}

export function fieldsOf({ concurrency, rateLimit }: Pick<Queue, "concurrency" | "rateLimit">): LimitFields {
  return { concurrency: concurrency ?? "", max: rateLimit?.max ?? "", duration: rateLimit?.duration ?? "" };
}

export function sameFields(one: LimitFields, other: LimitFields): boolean {
  return one.concurrency === other.concurrency && one.max === other.max && one.duration === other.duration;
}

/** What is sent. A rate of which one half is missing is sent so, and the service says what it lacks. */
export function requestOf({ concurrency, max, duration }: LimitFields): object {
  const rate = { ...(max !== "" && { max }), ...(duration !== "" && { duration }) };
  return { concurrency: concurrency === "" ? null : concurrency, rateLimit: Object.keys(rate).length === 0 ? null : rate };
}
