import { useEffect, useRef, type RefObject } from "react";

/** So near to the end, in pixels, somebody is still at it. */
const AT_END = 40;

/** Keeps the end of a list in sight while it is followed; whoever scrolls up lets go of it. */
export function useFollow(
  scroller: RefObject<HTMLDivElement | null>,
  isOn: boolean,
  count: number,
  onFollow: (isOn: boolean) => void,
): void {
  const lastTop = useRef(0);
  const letGo = useRef(onFollow);
  letGo.current = onFollow;
  useEffect(() => {
    const box = scroller.current;
    if (box === null) return;
    const look = () => {
      // A list that becomes shorter moves up as well, but then its end is in sight.
      const isAtEnd = box.scrollHeight - box.clientHeight - box.scrollTop <= AT_END;
      if (box.scrollTop < lastTop.current && !isAtEnd) letGo.current(false);
      lastTop.current = box.scrollTop;
    };
    box.addEventListener("scroll", look, { passive: true });
    return () => box.removeEventListener("scroll", look);
  }, [scroller]);
  useEffect(() => {
    if (!isOn) return;
    const toEnd = () => {
      const box = scroller.current;
      if (box !== null) box.scrollTop = box.scrollHeight;
    };
    toEnd();
    // Rows are measured after they are drawn, which moves the end.
    const frame = requestAnimationFrame(toEnd);
    return () => cancelAnimationFrame(frame);
  }, [scroller, isOn, count]);
}
