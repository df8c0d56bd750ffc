import { ActionIcon, Tooltip } from "@mantine/core";
import { useReactFlow } from "@xyflow/react";
import { IconMaximize, IconMinus, IconPlus } from "@tabler/icons-react";
import classes from "./graph.module.css";

export function ViewButtons({ onFit }: { onFit: () => void }) {
  const { zoomIn, zoomOut } = useReactFlow();
  const buttons = [
    { words: "Zoom in", hint: "Ctrl + wheel", icon: IconPlus, act: () => void zoomIn({ duration: 150 }) },
    { words: "Zoom out", hint: "Ctrl + wheel", icon: IconMinus, act: () => void zoomOut({ duration: 150 }) },
    { words: "Fit to the window", hint: null, icon: IconMaximize, act: onFit },
  ];
  return (
    <div className={classes.controls}>
      {buttons.map(({ words, hint, icon: Sign, act }) => (
        <Tooltip key={words} label={hint === null ? words : `${words} (${hint})`} position="right" withArrow>
          <ActionIcon variant="default" size="md" aria-label={words} onClick={act}>
            <Sign size={16} aria-hidden />
          </ActionIcon>
        </Tooltip>
      ))}
    </div>
  );
}
