import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";
import {
  IconBan,
  IconCircleCheck,
  IconCircleX,
  IconClock,
  IconHourglass,
  IconPlayerPlay,
  IconSitemap,
  IconStarFilled,
  type Icon,
} from "@tabler/icons-react";
import type { FlowStatus, JobStatus } from "./api/types";

const indigo: MantineColorsTuple = [
  "#eef1fd",
  "#dadff6",
  "#b2bcec",
  "#8796e3",
  "#6477db",
  "#4f64d6",
  "#4459d4",
  "#364bbc",
  "#2e42a9",
  "#233895",
];

const DIALOG = {
  closeButtonProps: { "aria-label": "Close" },
  attributes: { header: { role: "presentation" } },
  styles: { title: { fontWeight: 600 } },
};

export const theme = createTheme({
  primaryColor: "bull",
  primaryShade: { light: 6, dark: 5 },
  colors: { bull: indigo },
  defaultRadius: "md",
  fontFamily: "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
  fontFamilyMonospace: "ui-monospace, 'JetBrains Mono', SFMono-Regular, Menlo, Consolas, monospace",
  autoContrast: true,
  cursorType: "pointer",
  components: {
    // A dialog's heading is not the page's banner, and its cross has a name.
    Modal: { defaultProps: DIALOG },
    Drawer: { defaultProps: DIALOG },
  },
});

/** Mantine's own are too pale for small text (WCAG AA wants 4.5 : 1). */
export const readable: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#646c75",
    "--mantine-color-placeholder": "#6b737b",
    "--mantine-color-error": "#c92a2a",
    "--mantine-color-teal-light-color": "#066649",
    "--mantine-color-orange-light-color": "#9c3306",
    "--mantine-color-yellow-light-color": "#7d4a00",
    "--mantine-color-red-light-color": "#b02020",
  },
  dark: {
    "--mantine-color-dimmed": "#a0a0a0",
    "--mantine-color-placeholder": "#9a9a9a",
    "--mantine-color-error": "#ff8787",
    "--mantine-color-anchor": indigo[3],
  },
});

interface Look {
  /** One of Mantine's colours. */
  color: string;
  icon: Icon;
  word: string;
}

/** How a state looks, wherever it is shown. Colour is never the only sign: each has its own icon and its word. */
export const LOOKS: Record<FlowStatus | JobStatus, Look> = {
  active: { color: "blue", icon: IconPlayerPlay, word: "active" },
  waiting: { color: "gray", icon: IconClock, word: "waiting" },
  "waiting-children": { color: "gray", icon: IconSitemap, word: "waits for children" },
  delayed: { color: "grape", icon: IconHourglass, word: "delayed" },
  prioritized: { color: "yellow", icon: IconStarFilled, word: "prioritized" },
  completed: { color: "teal", icon: IconCircleCheck, word: "completed" },
  failed: { color: "red", icon: IconCircleX, word: "failed" },
  cancelled: { color: "orange", icon: IconBan, word: "cancelled" },
};
