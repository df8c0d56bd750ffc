/** How each kind of entry looks. Its name is the contract's own. */
import { IconFlag, IconLifebuoy, IconRefresh, IconRotateClockwise, IconSend, type Icon } from "@tabler/icons-react";
import type { FlowEvent, JobStatus } from "../../../api/types";
import { LOOKS } from "../../../theme";

export type EventKind = FlowEvent["event"];

interface EventLook {
  color: string;
  icon: Icon;
}

function like(status: JobStatus): EventLook {
  return LOOKS[status];
}

export const EVENT_LOOKS: Record<EventKind, EventLook> = {
  "flow.created": { color: "gray", icon: IconFlag },
  "flow.dispatched": { color: "gray", icon: IconSend },
  "flow.completed": like("completed"),
  "flow.failed": like("failed"),
  "flow.cancelled": like("cancelled"),
  "flow.retried": { color: "bull", icon: IconRefresh },
  "flow.recovered": { color: "bull", icon: IconLifebuoy },
  "job.waiting": like("waiting"),
  "job.delayed": like("delayed"),
  "job.active": like("active"),
  "job.retrying": { color: "yellow", icon: IconRotateClockwise },
  "job.completed": like("completed"),
  "job.failed": like("failed"),
  "job.cancelled": like("cancelled"),
};

export const EVENT_KINDS = Object.keys(EVENT_LOOKS) as EventKind[];
