/**
 * One WebSocket for the whole page: single flows from any entry of their log on, and all flows as they change.
 *
 * When the line is lost it is dialled again, with growing pauses, and every flow that is followed goes on
 * after the last entry that was heard: no entry is missed, and none comes twice. What follows all flows has no such
 * numbers; it is told that it may have missed something, and asks anew.
 */
import type { Flow, FlowEvent, Line } from "./types";

/** `refused`: nobody is signed in. It is not dialled again by itself: who signs in loads the page anew. */
export type LiveState = "connecting" | "open" | "lost" | "refused";

export interface FlowListener {
  /** Its lines are here: the number of the last entry when the subscription began. */
  subscribed?(lastSeq: number): void;
  event(event: FlowEvent): void;
  progress?(jobId: string, progress: unknown): void;
  line?(line: Line): void;
  /** The flow cannot be followed, for instance because it is not there. */
  failed?(code: string, detail: string): void;
}

export interface AllListener {
  flow(flow: Flow): void;
  /** Changes may have been missed up to now, and none will be from now on: said whenever the subscription stands. */
  missed(): void;
}

type Message =
  | { type: "subscribed"; flowId: string | null; lastSeq: number | null }
  | ({ type: "event" } & FlowEvent)
  | { type: "flow"; flow: Flow }
  | { type: "progress"; flowId: string; id: string; progress: unknown }
  | ({ type: "log"; flowId: string } & Line)
  | { type: "error"; code: string; detail: string; flowId?: string }
  | { type: "pong" };

interface Followed {
  after: number;
  listeners: Set<FlowListener>;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8_000;
const PING_EVERY_MS = 15_000;
const DIAL_WITHIN_MS = 10_000;
const REFUSED_PAUSE_MS = 2_000;
const TOO_SLOW = 4008;
const UNAUTHENTICATED = 4001;
const REFUSED = "unauthenticated";
const GONE = "not-found";

export class Live {
  state: LiveState = "connecting";
  private socket: WebSocket | null = null;
  private pause = FIRST_PAUSE_MS;
  private redial: ReturnType<typeof setTimeout> | null = null;
  private heardAt = 0;
  private pingedAt = 0;
  private dialledAt = 0;
  private readonly flows = new Map<string, Followed>();
  private readonly all = new Set<AllListener>();
  private readonly watchers = new Set<() => void>();

  constructor(private readonly url: string) {
    window.addEventListener("online", () => this.dialNow());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.dialNow();
    });
    setInterval(() => this.look(), PING_EVERY_MS);
    this.dial();
  }

  /** Hear of a flow what comes after this entry; returns how to stop. */
  follow(flowId: string, after: number, listener: FlowListener): () => void {
    const known = this.flows.get(flowId);
    const followed = known ?? { after, listeners: new Set() };
    followed.listeners.add(listener);
    // Whoever joins later and wants more gets it with a new subscription; the others have heard it and leave it.
    followed.after = Math.min(followed.after, after);
    this.flows.set(flowId, followed);
    this.subscribe(flowId, followed);
    return () => {
      followed.listeners.delete(listener);
      if (followed.listeners.size === 0 && this.flows.get(flowId) === followed) {
        this.flows.delete(flowId);
        this.send({ action: "unsubscribe", flowId });
      }
    };
  }

  /** Hear of every flow that changes; returns how to stop. */
  followAll(listener: AllListener): () => void {
    this.all.add(listener);
    if (this.all.size === 1) this.send({ action: "subscribe" });
    return () => {
      this.all.delete(listener);
      if (this.all.size === 0) this.send({ action: "unsubscribe" });
    };
  }

  /** Be told when `state` changes; returns how to stop. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** One is signed in after all, for instance by another page: a line that was refused is dialled again. */
  admitted(): void {
    if (this.state !== "refused") return;
    this.become("lost");
    this.redial = setTimeout(() => this.dial(), REFUSED_PAUSE_MS);
  }

  /** The service was heard of otherwise: it is there, and a lost line need not wait to be dialled. The pause goes on to grow. */
  reachable(): void {
    if (this.state !== "lost" || this.redial === null) return;
    clearTimeout(this.redial);
    this.dial();
  }

  private dialNow(): void {
    if (this.state === "open" || this.redial === null) return;
    this.pause = FIRST_PAUSE_MS;
    clearTimeout(this.redial);
    this.dial();
  }

  private dial(): void {
    this.redial = null;
    this.dialledAt = Date.now();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (message) => this.heard(JSON.parse(message.data as string) as Message);
    socket.onclose = (closed) => {
      if (this.socket === socket) this.closed(closed.code);
    };
  }

  private opened(): void {
    this.pause = FIRST_PAUSE_MS;
    this.heardAt = Date.now();
    this.become("open");
    for (const [flowId, followed] of this.flows) this.subscribe(flowId, followed);
    if (this.all.size > 0) this.send({ action: "subscribe" });
  }

  private closed(code: number): void {
    this.socket = null;
    this.become(code === UNAUTHENTICATED ? "refused" : "lost");
    if (this.state === "refused") return;
    // A line that was cut because we were too slow is there again at once.
    const wait = code === TOO_SLOW ? 0 : this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    this.redial = setTimeout(() => this.dial(), wait);
  }

  /**
   * A line may be dead without a word: it is asked for one. Dead is one that has not answered by the next look, however
   * long the browser lets a page in the background wait for that.
   */
  private look(): void {
    if (this.socket === null) return;
    const isDead = this.state === "open" ? this.heardAt < this.pingedAt : Date.now() - this.dialledAt > DIAL_WITHIN_MS;
    if (isDead) {
      const dead = this.socket;
      this.closed(0);
      dead.onclose = null;
      dead.close();
    } else if (this.state === "open") {
      this.pingedAt = Date.now();
      this.send({ action: "ping" });
    }
  }

  private subscribe(flowId: string, followed: Followed): void {
    this.send({ action: "subscribe", flowId, after: followed.after });
  }

  private send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private become(state: LiveState): void {
    if (this.state !== state) {
      this.state = state;
      for (const watcher of this.watchers) watcher();
    }
  }

  private heard(message: Message): void {
    this.heardAt = Date.now();
    switch (message.type) {
      case "flow":
        for (const listener of this.all) listener.flow(message.flow);
        break;
      case "event":
        this.heardEvent(message);
        break;
      case "progress":
        for (const listener of this.listeners(message.flowId)) listener.progress?.(message.id, message.progress);
        break;
      case "log":
        for (const listener of this.listeners(message.flowId)) listener.line?.(message);
        break;
      case "subscribed":
        if (message.flowId === null) {
          // Only now: what is asked before the subscription stands may miss a change between the two.
          for (const listener of this.all) listener.missed();
          break;
        }
        for (const listener of this.listeners(message.flowId)) listener.subscribed?.(message.lastSeq ?? 0);
        break;
      case "error":
        this.refused(message.code, message.detail, message.flowId);
        break;
      case "pong":
        break;
    }
  }

  private refused(code: string, detail: string, flowId: string | undefined): void {
    if (flowId === undefined) {
      if (code === REFUSED) return; // the line is closed for that next
      console.error(`the service has refused a message: ${code}, ${detail}`);
      return;
    }
    for (const listener of this.listeners(flowId)) listener.failed?.(code, detail);
    const followed = this.flows.get(flowId);
    if (code === GONE || followed === undefined) return;
    // Whatever keeps it from being followed passes, and nobody else would ask again on a line that is open.
    setTimeout(() => this.flows.get(flowId) === followed && this.subscribe(flowId, followed), LONGEST_PAUSE_MS / 2);
  }

  private heardEvent(event: FlowEvent): void {
    const followed = this.flows.get(event.flowId);
    if (followed === undefined) return;
    followed.after = Math.max(followed.after, event.seq);
    for (const listener of followed.listeners) listener.event(event);
  }

  private listeners(flowId: string): Iterable<FlowListener> {
    return this.flows.get(flowId)?.listeners ?? [];
  }
}

const scheme = location.protocol === "https:" ? "wss" : "ws";
export const live = new Live(`${scheme}://${location.host}/ws`);
