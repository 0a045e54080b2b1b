"""Local servers that speak the real protocols, for rehearsal and tests."""
