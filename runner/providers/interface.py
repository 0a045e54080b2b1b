"""What every provider promises: the contract between the use cases above and the adapters beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from runner.delivery import Answer, Message
from runner.errors import ProviderError
from runner.template import Template

#: Called once, with the time (epoch seconds, the provider's clock) at which a request left this machine.
OnDeparture = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The business number that sends, as the provider knows it. `id` is the provider's own key for it.

    `warning` says in one sentence why sends may fail although the number exists, None when nothing is wrong.
    """

    id: str
    number: str
    name: str = ""
    warning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateList:
    """The templates that could be read. `complete` is False when the provider says that it has more."""

    templates: tuple[Template, ...]
    complete: bool = True

    def require(self, name: str, language: str) -> None:
        """Raise ProviderError when this template was not read and may be among the rows that are missing.

        A template that a complete list does not hold is not there: that is the caller's to say.
        """
        if self.complete or any((row.name, row.language) == (name, language) for row in self.templates):
            return
        raise ProviderError(
            f"template {name!r} in {language!r} is not among the {len(self.templates)} templates that could "
            "be read, and the provider says that it has more",
            hint="delete templates that are not used any more, or create this one anew (newest come first)",
        )


class Provider(Protocol):
    """Whoever carries messages (docs/adding-a-provider.md has the promises in full).

    The first two methods are plain calls and raise ProviderError. `send` works inside `async with` only,
    sends at most once, and reports every expected failure as an Answer.
    """

    def sender_account(self) -> Account:
        """Return the account of the configured sender."""
        ...

    def templates(self) -> TemplateList:
        """Return the sender's templates."""
        ...

    async def send(
        self, phone: str, message: Message, tag: str, on_departure: OnDeparture | None = None
    ) -> Answer:
        """Send `message` to `phone` (digits, country code, no `+`) once, and say what it came to."""
        ...

    async def __aenter__(self) -> Provider:
        """Open what sending needs."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        ...
