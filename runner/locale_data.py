"""The one door to Babel's locale data; part of rendering. Babel is loaded when something is formatted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import TemplateError

if TYPE_CHECKING:
    from babel import Locale


def load_locale(language: str) -> Locale:
    """Return Babel's locale for a template's language code (`id`, `en_US`, `zh_TW`).

    TemplateError if Babel has no data for it.
    """
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError) as error:
        raise TemplateError(
            f"no month names or number signs are known for the language `{language}`",
            hint="set `locale` beside `format`, for example `locale: id`",
        ) from error
