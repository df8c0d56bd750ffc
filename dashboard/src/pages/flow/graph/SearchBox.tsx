import { ActionIcon, Button, Group, Text, TextInput, Tooltip } from "@mantine/core";
import { IconChevronDown, IconChevronUp, IconCircleX, IconSearch } from "@tabler/icons-react";
import type { KeyboardEvent } from "react";
import classes from "./search.module.css";

interface SearchBoxProps {
  query: string;
  onQuery(query: string): void;
  matches: number;
  /** The place of the match that is shown, from 0; -1 before the first step. */
  place: number;
  onStep(by: 1 | -1): void;
  failed: number;
  onFailed(): void;
}

/** Finds jobs and leads from match to match. */
export function SearchBox({ query, onQuery, matches, place, onStep, failed, onFailed }: SearchBoxProps) {
  const isAsked = query.trim() !== "";
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Enter") onStep(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") onQuery("");
  };
  return (
    <Group gap="xs" wrap="nowrap" className={classes.search}>
      <TextInput
        flex={1}
        miw={120}
        size="sm"
        value={query}
        onChange={(event) => onQuery(event.currentTarget.value)}
        onKeyDown={pressed}
        placeholder="Find by name or id"
        aria-label="Find jobs by name or id, or by state as in is:failed"
        leftSection={<IconSearch size={16} aria-hidden />}
        rightSection={isAsked && <Matches matches={matches} place={place} />}
        rightSectionWidth={isAsked ? 96 : undefined}
        rightSectionPointerEvents="none"
      />
      {isAsked && (
        <Group gap={4} wrap="nowrap">
          <Step words="Previous match" icon={IconChevronUp} disabled={matches === 0} onStep={() => onStep(-1)} />
          <Step words="Next match" icon={IconChevronDown} disabled={matches === 0} onStep={() => onStep(1)} />
        </Group>
      )}
      {failed > 0 && !isAsked && (
        <Tooltip label="Go to the first that has failed" withArrow>
          <Button variant="light" color="red" size="sm" px="sm" leftSection={<IconCircleX size={16} aria-hidden />} onClick={onFailed} flex="none">
            {failed.toLocaleString()} failed
          </Button>
        </Tooltip>
      )}
    </Group>
  );
}

function Matches({ matches, place }: { matches: number; place: number }) {
  const words = matches === 0 ? "none" : place < 0 ? matches.toLocaleString() : `${(place + 1).toLocaleString()} of ${matches.toLocaleString()}`;
  return (
    <Text size="xs" role="status" aria-label={matches === 0 ? "No match" : `${words} matches`} ta="right" w="100%" pr="xs" truncate>
      {words}
    </Text>
  );
}

interface StepProps {
  words: string;
  icon: typeof IconChevronUp;
  disabled: boolean;
  onStep(): void;
}

function Step({ words, icon: Sign, disabled, onStep }: StepProps) {
  return (
    <Tooltip label={words} withArrow>
      <ActionIcon variant="default" size="lg" aria-label={words} disabled={disabled} onClick={onStep}>
        <Sign size={16} aria-hidden />
      </ActionIcon>
    </Tooltip>
  );
}
