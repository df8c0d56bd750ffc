"""Is anything lost? Real processes are killed, stopped and wiped while flows run; an oracle says what is right."""
