import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from "react";

const WIDEST = 4_000_000;
const MOST_PIXELS_PER_MS = 20;
const WHEEL_SPEED = 0.002;

interface Scale {
  pixelsPerMs: number;
  isFit: boolean;
  /** Nearer or farther; what is at this distance from the left edge of the chart stays there. */
  zoom(factor: number, at?: number): void;
  fit(): void;
}

/** How wide a millisecond is: as wide as the whole fits, or as somebody has chosen with buttons or ctrl + wheel. */
export function useScale(scroller: RefObject<HTMLDivElement | null>, chartLeft: number, chartWidth: number, duration: number): Scale {
  const fitting = Math.max(1, chartWidth) / Math.max(1, duration);
  const [chosen, setChosen] = useState<number | null>(null);
  const pixelsPerMs = Math.max(fitting, chosen ?? fitting);
  const current = useRef(pixelsPerMs);
  const scrollTo = useRef<number | null>(null);

  const zoom = useCallback(
    (factor: number, at = chartWidth / 2) => {
      const box = scroller.current;
      if (box === null) return;
      const most = Math.max(fitting, Math.min(MOST_PIXELS_PER_MS, WIDEST / duration));
      const next = Math.min(most, current.current * factor);
      const instant = (box.scrollLeft + at) / current.current;
      scrollTo.current = instant * next - at;
      setChosen(next <= fitting * 1.02 ? null : next);
    },
    [scroller, chartWidth, fitting, duration],
  );
  const fit = useCallback(() => setChosen(null), []);

  useLayoutEffect(() => {
    current.current = pixelsPerMs;
    if (scrollTo.current !== null && scroller.current !== null) scroller.current.scrollLeft = scrollTo.current;
    scrollTo.current = null;
  }, [scroller, pixelsPerMs]);

  useEffect(() => {
    const box = scroller.current;
    if (box === null) return;
    const turn = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * WHEEL_SPEED), Math.max(0, event.clientX - box.getBoundingClientRect().left - chartLeft));
    };
    box.addEventListener("wheel", turn, { passive: false });
    return () => box.removeEventListener("wheel", turn);
  }, [scroller, chartLeft, zoom]);

  return { pixelsPerMs, isFit: chosen === null || chosen <= fitting, zoom, fit };
}
