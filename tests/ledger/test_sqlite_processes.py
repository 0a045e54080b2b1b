"""The SQLite ledger is shared by processes, and outlives them."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from itertools import pairwise

from runner.delivery import State
from runner.ledger import open_ledger
from runner.ledger.liveness import this_process

NOW = 1_780_000_000.0
URL = "sqlite:///state/ledger.db"


KILLED = """
import os, pathlib, signal, sys, time
from runner.delivery import DeliveryKey
from runner.ledger import open_ledger
from runner.ledger.interface import Intent
from runner.ledger.liveness import this_process
ledger = open_ledger("sqlite:///state/ledger.db", root=pathlib.Path(sys.argv[1]))
me = this_process("ada")
token = ledger.acquire("lebaran/once", me, time.time())
ledger.register_plan(digest="plan-1", campaign="lebaran", occurrence="once", to_send=9, created_at=0)
run = ledger.begin_run(token, "plan-1", me, time.time())
key = DeliveryKey(campaign="lebaran", occurrence="once", phone="6281")
ledger.commit(token, [Intent(key=key, recipient_id="1", run=run)], [], time.time())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_its_lock_at_once_but_not_what_it_committed(tmp_path, run_together):
    run_together(KILLED, [tmp_path], exit_code=-signal.SIGKILL)

    with closing(open_ledger(URL, root=tmp_path)) as ledger:
        token = ledger.acquire("lebaran/once", this_process("ada"), NOW)
        assert ledger.settle_interrupted(token, "lebaran", "once", NOW) == 1
        assert ledger.states("lebaran", "once", ["6281"]) == {"6281": State.UNKNOWN}


PACED = """
import json, pathlib, sys, time
from runner.ledger import open_ledger
ledger = open_ledger("sqlite:///state/ledger.db", root=pathlib.Path(sys.argv[1]))
print(json.dumps([ledger.reserve_slot("60110000001", 0.01, time.time()) for _ in range(40)]))
"""


def test_slots_reserved_by_several_processes_lie_apart(tmp_path, run_together):
    slots = sorted(slot for out in run_together(PACED, *[[tmp_path]] * 3) for slot in json.loads(out))

    assert len(slots) == 120
    assert min(later - slot for slot, later in pairwise(slots)) >= 0.01 - 1e-5


RACING = """
import json, pathlib, sys, time
from runner.delivery import DeliveryKey
from runner.ledger import open_ledger
from runner.ledger.interface import Intent
from runner.ledger.liveness import this_process
ledger = open_ledger("sqlite:///state/ledger.db", root=pathlib.Path(sys.argv[1]))
me, digest = this_process("ada"), sys.argv[2]
# Each takes a lock of its own, as two plans would if the lock of the occurrence failed: the key still holds.
token = ledger.acquire(digest, me, time.time())
ledger.register_plan(digest=digest, campaign="lebaran", occurrence="once", to_send=9, created_at=0)
run = ledger.begin_run(token, digest, me, time.time())
won = []
for number in range(200):
    key = DeliveryKey(campaign="lebaran", occurrence="once", phone=str(number))
    (is_mine,) = ledger.commit(token, [Intent(key=key, recipient_id="", run=run)], [], time.time())
    won += [number] if is_mine else []
print(json.dumps(won))
"""


def test_of_two_processes_that_want_the_same_delivery_exactly_one_gets_it(tmp_path, run_together):
    written = run_together(RACING, [tmp_path, "plan-1"], [tmp_path, "plan-2"])
    first, second = (set(json.loads(out)) for out in written)

    assert first | second == set(range(200))
    assert first & second == set()
