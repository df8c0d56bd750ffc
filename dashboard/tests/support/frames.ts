/** The browser's frames: they are drawn when the test says so. */
import { vi } from "vitest";

export class Frames {
  private readonly due = new Map<number, () => void>();
  private last = 0;

  constructor() {
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => {
      this.due.set(++this.last, draw);
      return this.last;
    });
    vi.stubGlobal("cancelAnimationFrame", (frame: number) => this.due.delete(frame));
  }

  /** How many have been asked for. */
  get count(): number {
    return this.due.size;
  }

  draw(): void {
    const due = [...this.due.values()];
    this.due.clear();
    for (const draw of due) draw();
  }
}
