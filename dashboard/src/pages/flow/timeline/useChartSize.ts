import { useLayoutEffect, useState, type RefObject } from "react";

const NARROW = 640;

export interface ChartSize {
  namesWidth: number;
  /** What is left for the whole of time, when all of it fits. */
  chartWidth: number;
  /** Room at the right for what stands behind the last bar. */
  roomAfter: number;
  isNarrow: boolean;
}

/** How the room is shared between names and bars. */
export function useChartSize(scroller: RefObject<HTMLDivElement | null>): ChartSize {
  const [width, setWidth] = useState(800);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box === null) return;
    const observer = new ResizeObserver(() => setWidth(box.clientWidth));
    observer.observe(box);
    setWidth(box.clientWidth);
    return () => observer.disconnect();
  }, [scroller]);
  const isNarrow = width < NARROW;
  const namesWidth = isNarrow ? 124 : Math.min(320, Math.round(width * 0.27));
  const roomAfter = isNarrow ? 128 : 150;
  return { namesWidth, roomAfter, chartWidth: width - namesWidth - roomAfter, isNarrow };
}
