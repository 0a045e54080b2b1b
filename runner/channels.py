"""The channels by which people are told: Slack, Teams, e-mail, webhooks and more, each an address of apprise.

Addresses hold secrets. They come from the environment, and nothing of them but the kind of channel is ever
shown: a host may be a token. apprise's own log, which may have an address in it, is shut.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any

from runner.notice import Notice

if TYPE_CHECKING:
    from apprise import NotifyBase

#: How long one notice may take, over all channels, in seconds.
TELL_SECONDS = 10.0

_STATUS = re.compile(r"\berror\s*=\s*([1-5][0-9]{2})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of one notice on one channel; `failure` is None when it was taken, else one line."""

    channel: str
    failure: str | None


class Channels:
    """Every channel that `urls` names: apprise addresses, with blanks or commas between them.

    apprise takes 0.3 s and 45 MB, so it is imported when there is something to tell.
    """

    def __init__(self, urls: str) -> None:
        self._urls = urls

    def kinds(self) -> list[str | None]:
        """Return what each channel is, such as Slack, in order; None for an address that is none."""
        return [None if plugin is None else str(plugin.service_name) for plugin in self._plugins()]

    def tell(self, notice: Notice, *, seconds: float = TELL_SECONDS) -> list[Told]:
        """Tell all channels at once; return what came of each, within `seconds`. Nothing is raised.

        A channel that hangs is left alone: its thread ends with the process.
        """
        attempts = [_Attempt(number, plugin) for number, plugin in enumerate(self._plugins(), 1)]
        threads = [Thread(target=each.make, args=(notice,), daemon=True) for each in attempts]
        until = time.monotonic() + seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return [each.told(seconds) for each in attempts]

    def _plugins(self) -> Sequence[NotifyBase | None]:
        from apprise import Apprise, AppriseAsset
        from apprise.utils.parse import parse_urls

        _shut_the_log()
        asset = AppriseAsset(app_id="runner", app_desc="runner", app_url="", async_mode=False)
        urls = parse_urls(self._urls)  # type: ignore[no-untyped-call]
        # Anew for each notice: an instance that is used again waits for seconds first.
        return [_plugin(Apprise, url, asset) for url in urls]


def _plugin(apprise: Any, url: str, asset: object) -> NotifyBase | None:  # noqa: ANN401 - an untyped class
    try:
        plugin: NotifyBase | None = apprise.instantiate(url, asset=asset)
    except Exception:  # noqa: BLE001 - whatever a plugin makes of a text that is no address
        return None
    return plugin


class _Attempt:
    """One notice on one channel."""

    def __init__(self, number: int, plugin: NotifyBase | None) -> None:
        self._plugin = plugin
        self._channel = f"channel {number}" + (f" ({plugin.service_name})" if plugin else "")
        self._told: Told | None = None

    def make(self, notice: Notice) -> None:
        """Send it, and keep what came of it."""
        self._told = Told(channel=self._channel, failure=self._failure(notice))

    def told(self, seconds: float) -> Told:
        """Return what came of it by now."""
        late = f"took longer than {seconds:g} s"
        return self._told or Told(channel=self._channel, failure=late)

    def _failure(self, notice: Notice) -> str | None:
        from apprise import NotifyFormat, NotifyType

        if self._plugin is None:
            return "is no address that apprise knows"
        try:
            is_taken = self._plugin.notify(
                title=notice.title,
                body=notice.body,
                notify_type=NotifyType(notice.tone.value),
                body_format=NotifyFormat.TEXT,
            )
        except Exception as error:  # noqa: BLE001 - its text may have the address in it
            return f"failed ({type(error).__name__})"
        status = _statuses.pop(get_ident(), None)
        answered = f"answered with {status}" if status else "could not be reached, or did not take it"
        return None if is_taken else answered


#: The last HTTP status that apprise told of, by thread.
_statuses: dict[int, str] = {}


class _StatusKeeper(logging.Handler):
    """Keeps of apprise's log the status of an answer, and nothing else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Look for a status."""
        found = _STATUS.search(record.getMessage())
        if found:
            _statuses[get_ident()] = found[1]


def _shut_the_log() -> None:
    logger = logging.getLogger("apprise")
    if not any(isinstance(handler, _StatusKeeper) for handler in logger.handlers):
        logger.addHandler(_StatusKeeper())
    logger.propagate = False
