"""How the sandbox's switches write times and sizes: `90s`, `300ms`, `32MB`."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h)")
_SIZE = re.compile(r"(\d+)\s*(B|KB|MB)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"b": 1, "kb": 1024, "mb": 1024 * 1024}


def parse_duration(text: str) -> float:
    """Read a time with its unit (ms, s, m or h) as seconds; ValueError where it is not one."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return float(match.group(1)) * _SECONDS[match.group(2)]


def parse_size(text: str) -> int:
    """Read a size with its unit (B, KB or MB) as bytes; ValueError where it is not one."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return int(match.group(1)) * _BYTES[match.group(2).lower()]
