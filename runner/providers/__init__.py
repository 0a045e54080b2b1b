"""Who carries messages: one file per provider, found by its name."""
