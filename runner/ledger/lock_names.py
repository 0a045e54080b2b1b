"""The names of the locks of a ledger."""

from __future__ import annotations

#: The name of the lock of whoever starts firings on time.
SERVE_LOCK = "serve"


def lock_name(campaign: str, occurrence: str) -> str:
    """Return the name of the lock under which one occurrence is applied."""
    return f"{campaign}/{occurrence}"


def campaign_lock_name(campaign: str) -> str:
    """Return the name of the lock under which a campaign's firings are run; no occurrence's lock has it."""
    return f"firings of {campaign}"
