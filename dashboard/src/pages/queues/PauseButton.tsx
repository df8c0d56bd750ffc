import { Button, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useState } from "react";
import { post } from "../../api/rest";
import type { QueueSettings } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { queuePath } from "./asking";

interface PauseButtonProps {
  name: string;
  isPaused: boolean;
  onDone: () => void;
}

/** Pauses a queue or lets it go on, after a question. */
export function PauseButton({ name, isPaused, onDone }: PauseButtonProps) {
  // What was asked stays, even if somebody else pauses or resumes meanwhile.
  const [asked, setAsked] = useState<"pause" | "resume">("pause");
  const [isOpen, setOpen] = useState(false);
  const ask = () => {
    setAsked(isPaused ? "resume" : "pause");
    setOpen(true);
  };
  const act = async () => {
    tellIfNotApplied(await post<QueueSettings>(`${queuePath(name)}/${asked}`));
    onDone();
  };
  return (
    <>
      <Button
        size="xs"
        variant={isPaused ? "filled" : "default"}
        leftSection={isPaused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />}
        onClick={ask}
      >
        {isPaused ? "Resume" : "Pause"}
      </Button>
      <Confirm
        title={asked === "pause" ? "Pause this queue?" : "Let this queue go on?"}
        act={asked === "pause" ? "Pause the queue" : "Resume the queue"}
        opened={isOpen}
        onClose={() => setOpen(false)}
        onConfirm={act}
      >
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {asked === "pause"
            ? `No further job of “${name}” begins, with whatever workers, until it is resumed. What runs may end. Flows that need it wait.`
            : `Jobs of “${name}” begin again.`}
        </Text>
      </Confirm>
    </>
  );
}

/** The setting is kept in any case; the engine may get it later. */
export function tellIfNotApplied({ applied }: QueueSettings): void {
  if (applied) return;
  notifications.show({
    color: "orange",
    title: "Kept, but the engine does not know yet",
    message: "It does not answer. It gets the setting as soon as it does.",
    autoClose: 15_000,
  });
}
