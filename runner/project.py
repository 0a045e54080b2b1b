"""What runner.yml says, as values: what all campaigns of a project share. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.campaign import PhoneStyle, Segment
from runner.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Messages a second one sender may send; `per_second` None means unlimited (loopback only)."""

    per_second: float | None

    def __str__(self) -> str:
        """Render as runner.yml writes it."""
        return "unlimited" if self.per_second is None else f"{self.per_second:g}/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One entry under `providers`: where it is, who sends, how fast.

    `options` holds the keys that only this provider knows, as parsed.
    """

    name: str
    url: str | None
    sender: str
    rate: Rate
    max_in_flight: int = 256
    read_timeout: float = 60.0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedTo:
    """The branch of a remote, as this clone knows it, to which a merge approves what it brings."""

    remote: str
    branch: str

    def __str__(self) -> str:
        """Render as git writes it: `origin/main`."""
        return f"{self.remote}/{self.branch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendsElsewhere:
    """One entry under `history`: a query that returns `phone` and `sent_at`, and how its phones are written.

    Without a `region`, that of the campaign stands.
    """

    segment: Segment
    region: str | None = None
    phone_style: PhoneStyle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One project: a folder with a runner.yml. `root`, `data`, `state` and `suppression` are absolute.

    `ledger` is a URL: `sqlite:///` and a path relative to the root, or absolute with four slashes.
    `td_site` is Treasure Data's site. `query_memory_mb` and `query_seconds` bound what a segment query may
    use. `notify` is for campaigns that have none of their own. What is merged to `approved_by_merge` is
    approved; None where a person's `runner approve` is wanted.
    """

    root: Path
    data: Path
    state: Path
    ledger: str
    providers: Mapping[str, ProviderSettings]
    suppression: tuple[Path, ...] = ()
    history: tuple[SendsElsewhere, ...] = ()
    window: Window | None = None
    timezone: str | None = None
    plan_expires_hours: float = 72.0
    query_memory_mb: int = 1024
    query_seconds: float = 300.0
    sandbox_templates: Path | None = None
    sandbox_audiences: Path | None = None
    td_site: str | None = None
    notify: Mapping[str, Any] = field(default_factory=dict)
    approved_by_merge: MergedTo | None = None
