"""Where rows come from: one file per segment source, found by its name."""
