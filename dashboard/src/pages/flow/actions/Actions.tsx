/** What can be done with a flow. Each asks before it acts. */
import { Button, Group } from "@mantine/core";
import { IconBan, IconRefresh, IconTrash } from "@tabler/icons-react";
import { memo, useState } from "react";
import { useMay } from "../../../account/me";
import { hasEnded, type FlowStatus } from "../../../api/types";
import { CancelFlow } from "./CancelFlow";
import { CloneFlow } from "./CloneFlow";
import { DeleteFlow } from "./DeleteFlow";
import { RetryFlow } from "./RetryFlow";

interface ActionsProps {
  flowId: string;
  name: string;
  status: FlowStatus;
}

export const Actions = memo(function Actions({ flowId, name, status }: ActionsProps) {
  const [asked, setAsked] = useState<"cancel" | "retry" | "delete" | null>(null);
  const mayWrite = useMay("write");
  const leave = () => setAsked(null);
  if (!mayWrite) return null;
  return (
    <Group gap="xs">
      {!hasEnded(status) && (
        <Button variant="default" size="xs" leftSection={<IconBan size={14} aria-hidden />} onClick={() => setAsked("cancel")}>
          Cancel
        </Button>
      )}
      {(status === "failed" || status === "cancelled") && (
        <Button size="xs" leftSection={<IconRefresh size={14} aria-hidden />} onClick={() => setAsked("retry")}>
          Retry
        </Button>
      )}
      <CloneFlow flowId={flowId} />
      {hasEnded(status) && (
        <Button variant="default" size="xs" leftSection={<IconTrash size={14} aria-hidden />} onClick={() => setAsked("delete")}>
          Delete
        </Button>
      )}
      {/* The questions stay when the flow's state changes meanwhile; the service then says what it thinks of the answer. */}
      <CancelFlow flowId={flowId} name={name} opened={asked === "cancel"} onClose={leave} />
      <RetryFlow flowId={flowId} opened={asked === "retry"} onClose={leave} />
      <DeleteFlow flowId={flowId} name={name} opened={asked === "delete"} onClose={leave} />
    </Group>
  );
});

export interface QuestionProps {
  flowId: string;
  opened: boolean;
  onClose: () => void;
}
