/** What there is to know of the service's health: each part with what it means, and the way out when it is not well. */
import type { LiveState } from "../../api/live";
import type { Sample } from "../../api/history";
import type { Readiness } from "../../api/types";
import { durationText } from "../../parts/time";

/** `unknown`: it cannot be told, because what it depends on is away. */
export type Wellness = "ok" | "slow" | "away" | "unknown";

export interface Check {
  name: string;
  wellness: Wellness;
  /** In a word or a number. */
  value: string;
  meaning: string;
  /** Shown when it is not well; empty when there is none. */
  wayOut: string;
}

const LATE_MS = 5_000;
const STUCK_MS = 30_000;

export function partChecks(readiness: Readiness | undefined, line: LiveState): Check[] {
  const checks: Check[] = [
    {
      name: "Store",
      ...said(readiness?.store),
      meaning: "The database that remembers every flow. Without it nothing can be accepted or shown.",
      wayOut: "Look whether the database runs, its disk has room, and BULLFLOW_DATABASE_URL is right. The service goes on by itself when it is back.",
    },
    {
      name: "Engine",
      ...said(readiness?.engine),
      meaning: "BullMQ's queues on Redis or Valkey. Without it flows are still accepted; they start when it is back.",
      wayOut: "Look whether it runs and BULLFLOW_REDIS_URL is right. Nothing is lost: what it has forgotten is put into it again from the store.",
    },
    {
      name: "Recorder",
      ...said(readiness?.recorder),
      meaning: "Puts flows into the engine and writes down what happens there. Without it states stand still.",
      wayOut: "Start one with `bullflow recorder` (`bullflow up` has one inside). What happened meanwhile is written down later.",
    },
    {
      name: "Live line",
      wellness: line === "open" ? "ok" : "away",
      value: line === "open" ? "ok" : line === "connecting" ? "being dialled" : "lost",
      meaning: "The WebSocket by which this page hears of changes. Without it what is shown stands still.",
      wayOut: "It is dialled again by itself, and nothing will be missed. If it stays away, look whether a proxy in between lets WebSockets through at /ws.",
    },
  ];
  // Of what nobody has told anything yet there is nothing to mend.
  return checks.map((check) => (check.wellness === "unknown" ? { ...check, wayOut: "" } : check));
}

export function lagCheck(readiness: Readiness | undefined): Check {
  const lag = readiness?.recorderLag ?? null;
  return {
    name: "Recorder lag",
    wellness: lag === null ? "unknown" : lag > LATE_MS ? "slow" : "ok",
    value: lag === null ? "not known" : durationText(lag),
    meaning: "How long ago something happened in the engine that is not written down yet. What you see is older by this.",
    wayOut:
      lag === null
        ? untold(readiness, "It cannot be told while the store or the engine is away.")
        : "A short burst is worked off by itself. If it grows, the store is too slow or the machine is too busy.",
  };
}

export function backlogCheck(readiness: Readiness | undefined, samples: readonly Sample[]): Check {
  const backlog = readiness?.dispatchBacklog ?? null;
  return {
    name: "Dispatch backlog",
    wellness: backlog === null ? "unknown" : isStuck(samples) ? "slow" : "ok",
    value: backlog === null ? "not known" : `${backlog.toLocaleString()} ${backlog === 1 ? "flow" : "flows"}`,
    meaning: "Flows that are accepted and not known to be in the engine yet. Usually none, or a few for a moment.",
    wayOut:
      backlog === null
        ? untold(readiness, "It cannot be told while the store is away.")
        : "It does not get less: look at the engine and the recorder above. The flows are safe, and start when both are well.",
  };
}

/** Whether there has been a backlog for a while that does not get less. */
export function isStuck(samples: readonly Sample[]): boolean {
  const last = samples.at(-1);
  if (last === undefined || (samples[0]?.at ?? 0) > last.at - STUCK_MS) return false;
  const recent = samples.filter(({ at }) => at >= last.at - STUCK_MS).map(({ values }) => values[0] ?? 0);
  return recent.every((value) => value > 0) && (recent.at(-1) ?? 0) >= (recent[0] ?? 0);
}

/** Why a number is missing, if there was an answer at all. */
function untold(readiness: Readiness | undefined, why: string): string {
  return readiness === undefined ? "" : why;
}

function said(words: string | undefined): Pick<Check, "wellness" | "value"> {
  if (words === undefined) return { wellness: "unknown", value: "not known" };
  return { wellness: words === "ok" ? "ok" : "away", value: words };
}
