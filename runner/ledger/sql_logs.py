"""What a SQL ledger keeps of logs: which events went together into which batch, and which batches arrived."""

from __future__ import annotations

from runner.ledger.store import Store


class LogBatches:
    """The batches cut of each run, for each log (its target)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def cut_log(self, target: str, run: int, size: int, now: float) -> None:
        """Put every event of the run that is in no batch of `target` yet into batches of at most `size`."""
        with self._store.transaction():
            found = self._store.row("run_scope", run=run)
            self._store.hold([found[1]] if found else [])
            number, event = self._store.row("last_cut", target=target, run=run) or (0, 0)
            cut = {"target": target, "run": run, "size": size, "now": now}
            self._store.run("cut_log", {**cut, "after_number": number, "after_event": event})

    def mark_logged(self, target: str, run: int, number: int, now: float) -> None:
        """Record that a batch of `target` is where it belongs."""
        with self._store.transaction():
            batch = {"target": target, "run": run, "number": number, "now": now}
            self._store.run("mark_logged", batch)
