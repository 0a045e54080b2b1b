"""runner.receipts.keeping: what is kept of webhooks, and of whom nothing is."""

import pytest

from runner.errors import LedgerError, UsageError
from runner.ledger.webhooks import Webhook, WebhookKind
from runner.receipts.keeping import Keeper

NOW = 7.0


class Book:
    """A ledger that keeps what it is given, and tells of those who are forgotten while it does."""

    def __init__(self, forgotten_meanwhile=()):
        self.forgotten = set()
        self.kept = []
        self.erased = []
        self._meanwhile = forgotten_meanwhile

    def add_webhooks(self, webhooks, now):
        self.kept += [(now, each.phone) for each in webhooks]
        self.forgotten |= set(self._meanwhile)

    def erase_webhooks(self, phones):
        self.erased += phones


class People:
    def __init__(self, *known):
        self.known = set(known)

    def bars(self, phone):
        return phone in self.known

    def renew(self, ledger):
        self.known |= ledger.forgotten


def webhook(phone, **more):
    return Webhook(kind=WebhookKind.STATUS, phone=phone, **more)


def test_nothing_is_kept_of_who_was_forgotten():
    book = Book()
    Keeper(People("6281")).keep(book, [webhook("6281"), webhook("6282")], NOW)
    assert book.kept == [(NOW, "6282")]
    assert book.erased == []


def test_a_tag_tells_of_them_too():
    book = Book()
    Keeper(People("6281")).keep(book, [webhook(None, tag="promo/once/6281")], NOW)
    assert book.kept == []


def test_who_is_forgotten_while_it_is_kept_is_erased_again():
    book = Book(forgotten_meanwhile=["6281"])
    Keeper(People()).keep(book, [webhook("6281", tag="promo/once/6281"), webhook("6282")], NOW)
    assert book.erased == ["6281"]


def test_without_the_key_nothing_is_kept_and_the_listener_says_so():
    class Unknown(People):
        def renew(self, ledger):
            raise UsageError("people were forgotten here, and RUNNER_FORGET_KEY is not set", hint="export it")

    book = Book()
    with pytest.raises(LedgerError, match="RUNNER_FORGET_KEY is not set") as caught:
        Keeper(Unknown()).keep(book, [webhook("6282")], NOW)
    assert caught.value.hint == "export it; then start the listener again"
    assert book.kept == []
