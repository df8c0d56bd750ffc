/** A request as an indented list: what would be made, without its data. It takes whatever has been typed so far. */

export interface OutlineLine {
  depth: number;
  name: string;
  queueName: string;
  /** So many like this one stand here, one after the other. */
  times: number;
}

export interface Outline {
  lines: OutlineLine[];
  /** Whether there is more than the lines tell. */
  isCut: boolean;
}

export function outlineOf(value: unknown, most: number): Outline {
  const outline: Outline = { lines: [], isCut: false };
  walk([value], 0, most, outline);
  return outline;
}

function walk(jobs: readonly unknown[], depth: number, most: number, outline: Outline): void {
  let last: OutlineLine | null = null;
  for (const job of jobs) {
    const { name, queueName, children } = named(job);
    if (last !== null && children.length === 0 && last.name === name && last.queueName === queueName) {
      last.times += 1;
      continue;
    }
    if (outline.lines.length >= most) {
      outline.isCut = true;
      return;
    }
    const line: OutlineLine = { depth, name, queueName, times: 1 };
    outline.lines.push(line);
    last = children.length === 0 ? line : null;
    walk(children, depth + 1, most, outline);
  }
}

function named(job: unknown): { name: string; queueName: string; children: readonly unknown[] } {
  const { name, queueName, children } = (typeof job === "object" && job !== null ? job : {}) as Record<string, unknown>;
  return {
    name: typeof name === "string" && name !== "" ? name : "?",
    queueName: typeof queueName === "string" && queueName !== "" ? queueName : "?",
    children: Array.isArray(children) ? children : [],
  };
}
