/** What every test has anew that asks the service: time and frames that it moves itself, and a service that waits. */
import { afterEach, beforeEach, vi } from "vitest";
import { Frames } from "./frames";
import { FAKED, Service } from "./service";

export function eachTest(has: (service: Service, frames: Frames) => void): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: [...FAKED] });
    has(new Service(), new Frames());
  });
  afterEach(() => void vi.useRealTimers());
}
