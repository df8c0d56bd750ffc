import type { Flow, FlowPage } from "../../src/api/types";

/** A flow as a list shows it. Ids are numbers here, written so that their order is that of texts. */
export function aFlow(number: number, fields: Partial<Flow> = {}): Flow {
  const at = new Date(number * 1_000).toISOString();
  return {
    id: idOf(number),
    name: "video",
    queueName: "films",
    userId: "somebody",
    status: "waiting",
    failFast: false,
    tags: [],
    counts: {},
    lastSeq: 1,
    createdAt: at,
    updatedAt: at,
    ...fields,
  };
}

export function idOf(number: number): string {
  return String(number).padStart(6, "0");
}

/** The flows from one number down to another. */
export function flowsDown(from: number, to: number): Flow[] {
  return Array.from({ length: from - to + 1 }, (_, place) => aFlow(from - place));
}

export function aPage(items: Flow[], next: string | null = null): FlowPage {
  return { items, next };
}
