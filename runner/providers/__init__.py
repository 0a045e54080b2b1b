"""Who carries messages: one file per provider, found by its name."""

from __future__ import annotations

import pkgutil
import re
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import cast

from runner.errors import UsageError
from runner.project import ProviderSettings
from runner.providers.interface import Provider

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def provider(
    name: str, settings: ProviderSettings, key: str, now: Callable[[], float] = time.time
) -> Provider:
    """Return the provider called `name`: the module of that name here, made by its `create`.

    `now` is the run's clock, in epoch seconds. Only that module is imported. Raises UsageError for a name
    that no provider has.
    """
    module = _module(name)
    if module is None:
        raise UsageError(
            f"there is no provider {name!r}", hint=f"the providers are: {', '.join(provider_names())}"
        )
    return cast("Provider", module.create(settings, key, now))


def provider_names() -> tuple[str, ...]:
    """Return the names of all providers, sorted."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__) if _module(info.name)))


def _module(name: str) -> ModuleType | None:
    """Return the module of that name if it is a provider; plumbing beside the providers has no `create`."""
    if not _NAME.fullmatch(name) or name not in {info.name for info in pkgutil.iter_modules(__path__)}:
        return None
    module = import_module(f"{__name__}.{name}")
    return module if hasattr(module, "create") else None
