import { useEffect, useState, type RefObject } from "react";

/** The header covers this much of the window. */
const HEADER_PX = 52;

/** Whether the beginning of this element is in sight, or would be, but for what stands above it. */
export function useIsAtTop(element: RefObject<HTMLElement | null>): boolean {
  const [isAtTop, setAtTop] = useState(true);
  useEffect(() => {
    const look = () => {
      const top = element.current?.getBoundingClientRect().top ?? 0;
      setAtTop(window.scrollY === 0 || top >= HEADER_PX);
    };
    look();
    window.addEventListener("scroll", look, { passive: true });
    window.addEventListener("resize", look);
    return () => {
      window.removeEventListener("scroll", look);
      window.removeEventListener("resize", look);
    };
  }, [element]);
  return isAtTop;
}
