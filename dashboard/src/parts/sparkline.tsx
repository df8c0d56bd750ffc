/** Numbers over time: small enough for a cell of a table, or large with an axis. */
import { Box, Group, Text } from "@mantine/core";
import { memo, type ReactNode } from "react";
import { frameOf, inWords, pathOf, type Sample, type Series } from "../api/history";
import { durationText } from "./time";

interface SparklineProps {
  /** What the numbers are about. */
  label: string;
  samples: readonly Sample[];
  series: readonly Series[];
  height?: number;
  textOf?: (value: number) => string;
}

export const Sparkline = memo(function Sparkline({ label, samples, series, height = 28, textOf }: SparklineProps) {
  return (
    <Lines label={`${label}, ${periodOf(samples)}: ${inWords(samples, series, textOf)}`} samples={samples} series={series} height={height} />
  );
});

export const Chart = memo(function Chart({ label, samples, series, height = 160, textOf = String }: SparklineProps) {
  const { most } = frameOf(samples);
  return (
    <Box component="figure" m={0}>
      <Group component="figcaption" gap="md" mb="xs">
        {series.map((one) => (
          <Group key={one.word} gap={6} wrap="nowrap">
            <svg width={22} height={8} aria-hidden>
              <path d="M1 4H21" stroke={one.color} strokeWidth={2} strokeDasharray={one.isDashed ? "4 3" : undefined} />
            </svg>
            <Text size="xs">{one.word}</Text>
          </Group>
        ))}
      </Group>
      <Box style={{ display: "grid", gridTemplateColumns: "auto 1fr", columnGap: 8 }}>
        <Box style={{ display: "flex", flexDirection: "column", justifyContent: "space-between", textAlign: "right" }} aria-hidden>
          <Tick>{textOf(most)}</Tick>
          <Tick>{textOf(0)}</Tick>
        </Box>
        <Lines label={`${label}, ${periodOf(samples)}: ${inWords(samples, series, textOf)}`} samples={samples} series={series} height={height} hasGrid />
        <span />
        <Group justify="space-between" mt={4} aria-hidden>
          <Tick>{durationText(covered(samples))} ago</Tick>
          <Tick>now</Tick>
        </Group>
      </Box>
    </Box>
  );
});

const WIDTH = 240;

interface LinesProps {
  label: string;
  samples: readonly Sample[];
  series: readonly Series[];
  height: number;
  hasGrid?: boolean;
}

function Lines({ label, samples, series, height, hasGrid = false }: LinesProps) {
  const frame = frameOf(samples);
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 -2 ${WIDTH} ${height + 4}`}
      preserveAspectRatio="none"
      style={{ display: "block", width: "100%", height: height + 4 }}
    >
      <title>{label}</title>
      {(hasGrid ? [0, height / 2, height] : [height]).map((y) => (
        <path key={y} d={`M0 ${y}H${WIDTH}`} stroke="var(--mantine-color-default-border)" vectorEffect="non-scaling-stroke" />
      ))}
      {series.map(({ word, color, isDashed }, place) => (
        <path
          key={word}
          d={pathOf(samples, place, frame, WIDTH, height)}
          fill="none"
          stroke={color}
          strokeWidth={1.75}
          strokeDasharray={isDashed ? "4 3" : undefined}
          strokeLinecap="round"
          strokeLinejoin="round"
          vectorEffect="non-scaling-stroke"
        />
      ))}
    </svg>
  );
}

function Tick({ children }: { children: ReactNode }) {
  return (
    <Text size="xs" c="dimmed" span style={{ lineHeight: 1 }}>
      {children}
    </Text>
  );
}

function covered(samples: readonly Sample[]): number {
  const { from, to } = frameOf(samples);
  return to - from;
}

function periodOf(samples: readonly Sample[]): string {
  return `in the last ${durationText(Math.max(1_000, (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0)))}`;
}
