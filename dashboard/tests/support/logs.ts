/** A log of a flow, read for a board that is nothing but what a log sees of one. */
import type { FlowEvent } from "../../src/api/types";
import type { Board } from "../../src/board/board";
import { EventLog } from "../../src/board/log";

export class FakeBoard {
  readonly flowId = "a flow";
  isOpen = true;
  readonly onEvent = new Set<(event: FlowEvent) => void>();
  private readonly watchers = new Set<() => void>();

  constructor(public lastSeq: number) {}

  watch(watcher: () => void): void {
    this.watchers.add(watcher);
  }

  say(event: FlowEvent): void {
    this.lastSeq = event.seq;
    for (const listener of this.onEvent) listener(event);
  }

  /** It was read anew. */
  jump(lastSeq: number): void {
    this.lastSeq = lastSeq;
    for (const watcher of this.watchers) watcher();
  }
}

export function aLog(board: FakeBoard): EventLog {
  return new EventLog(board as unknown as Board);
}
