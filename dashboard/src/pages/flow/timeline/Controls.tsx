import { ActionIcon, Group, NativeSelect, Switch, Text, Tooltip } from "@mantine/core";
import { IconArrowsMaximize, IconFold, IconRoute, IconFoldDown, IconZoomIn, IconZoomOut, type Icon } from "@tabler/icons-react";
import { durationText } from "../../../parts/time";
import type { CriticalPath } from "./criticalPath";
import type { Order } from "./rows";
import styles from "./timeline.module.css";

interface ControlsProps {
  order: Order;
  onOrder(order: Order): void;
  isCriticalOnly: boolean;
  onCriticalOnly(isOn: boolean): void;
  /** Null where nothing can be folded. */
  onFoldAll: ((isOpen: boolean) => void) | null;
  onZoom(factor: number): void;
  onFit(): void;
  isFit: boolean;
}

export function Controls(props: ControlsProps) {
  return (
    <Group gap="sm" justify="space-between">
      <Group gap="sm">
        <NativeSelect
          size="xs"
          aria-label="Order of the jobs"
          value={props.order}
          onChange={(event) => props.onOrder(event.currentTarget.value as Order)}
          disabled={props.isCriticalOnly}
          data={[
            { value: "tree", label: "Tree order" },
            { value: "start", label: "Start time" },
            { value: "longest", label: "Longest first" },
          ]}
        />
        <Switch
          size="sm"
          label="Critical path only"
          checked={props.isCriticalOnly}
          onChange={(event) => props.onCriticalOnly(event.currentTarget.checked)}
        />
      </Group>
      <Group gap={4}>
        {props.onFoldAll !== null && (
          <>
            <Act word="Unfold all" icon={IconFoldDown} act={() => props.onFoldAll?.(true)} />
            <Act word="Fold all" icon={IconFold} act={() => props.onFoldAll?.(false)} />
          </>
        )}
        <Act word="Zoom out (−)" icon={IconZoomOut} act={() => props.onZoom(0.5)} isOff={props.isFit} />
        <Act word="Zoom in (+), or Ctrl + wheel" icon={IconZoomIn} act={() => props.onZoom(2)} />
        <Act word="Fit all (0)" icon={IconArrowsMaximize} act={props.onFit} isOff={props.isFit} />
      </Group>
    </Group>
  );
}

function Act({ word, icon: Sign, act, isOff = false }: { word: string; icon: Icon; act(): void; isOff?: boolean }) {
  return (
    <Tooltip label={word} withArrow>
      <ActionIcon variant="default" size="md" aria-label={word} onClick={act} disabled={isOff}>
        <Sign size={16} />
      </ActionIcon>
    </Tooltip>
  );
}

/** How long the critical path is, and of what it is made; what lay between two runs is not of it. */
export function CriticalSummary({ path, hasEnded, idle }: { path: CriticalPath; hasEnded: boolean; idle: number }) {
  if (path.steps.length === 0) return null;
  const jobs = new Set(path.steps.map((step) => step.id)).size;
  return (
    <Text size="sm">
      <IconRoute size={15} aria-hidden style={{ verticalAlign: "-2px", marginInlineEnd: 6 }} />
      Critical path{hasEnded ? "" : " so far"}: {jobs === 1 ? "1 job" : `${jobs} jobs`},{" "}
      <Text span fw={600} size="sm">
        {durationText(path.total)}
      </Text>
      , of which {durationText(path.waiting)} waiting and {durationText(path.running)} running
      {idle > 0 && `; ${durationText(idle)} in which nothing ran or waited are left out`}
    </Text>
  );
}

const SIGNS: [string, string | undefined][] = [
  ["waiting", styles.waiting],
  ["delayed", styles.delayed],
  ["active", styles.active],
  ["completed", styles.completed],
  ["failed", styles.failed],
  ["cancelled", styles.cancelled],
  ["put back", styles.interrupted],
  ["critical path", styles.criticalSwatch],
];

export function Legend() {
  return (
    <div className={`${styles.root} ${styles.legend}`} aria-label="What the bars mean" role="group">
      {SIGNS.map(([word, look]) => (
        <Group key={word} gap={6} wrap="nowrap">
          <span className={`${styles.swatch} ${look}`} aria-hidden />
          <Text size="xs">{word}</Text>
        </Group>
      ))}
    </div>
  );
}
