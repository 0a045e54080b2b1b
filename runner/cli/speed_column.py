"""A column of the progress bar: messages a second."""

from __future__ import annotations

from rich.progress import ProgressColumn, Task
from rich.text import Text


class SpeedColumn(ProgressColumn):
    """Shows how many messages a second get their account."""

    def render(self, task: Task) -> Text:
        """Return the speed, empty until it is known."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")
