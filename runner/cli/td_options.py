"""The options by which a command is told whose Treasure Data to ask."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from runner.cli.workplace import TdFlags


def td_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--td-apikey` and `--td-site` to a command, which gets them as `td`."""

    @click.option(
        "--td-apikey", metavar="KEY", help="Treasure Data key; better: TD_API_KEY in the environment."
    )
    @click.option("--td-site", metavar="SITE", help="Treasure Data site: us01, jp01, eu01, ap02, ap03.")
    @functools.wraps(command)
    def with_td(*args: Any, td_apikey: str | None, td_site: str | None, **options: Any) -> Any:  # noqa: ANN401 - passed on
        return command(*args, td=TdFlags(key=td_apikey, site=td_site), **options)

    return with_td
