"""Where ledger rows and events are written for others to read: one file per kind of log."""
