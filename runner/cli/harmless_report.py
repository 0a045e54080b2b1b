"""A rich report in which no text can drive the terminal: the last step, whoever made the report."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment

from runner.masking import harmless


class HarmlessReport:
    """Renders `report`, the control characters of its texts made visible; rich's own colours stay."""

    def __init__(self, report: RenderableType) -> None:
        self._report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._report, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)
