import { Button, Group, Modal, Stack } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { ProblemAlert } from "./problem";

interface ConfirmProps {
  title: string;
  /** The words on the button that does it. */
  act: string;
  color?: string;
  opened: boolean;
  onClose: () => void;
  /** Does it; what it raises is shown, and the question stays open. */
  onConfirm: () => Promise<unknown>;
  disabled?: boolean;
  children: ReactNode;
}

/** Asks before something is done, and shows why it could not be done. */
export function Confirm({ title, act, color, opened, onClose, onConfirm, disabled, children }: ConfirmProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const close = () => {
    setError(null);
    onClose();
  };
  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      close();
    } catch (raised) {
      setError(raised);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened={opened} onClose={close} title={title} centered>
      <Stack>
        {children}
        {error !== null && <ProblemAlert error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            Leave it
          </Button>
          <Button color={color} loading={isBusy} disabled={disabled} onClick={() => void confirm()} data-autofocus>
            {act}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
