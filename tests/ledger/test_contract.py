"""What every ledger promises; one test per promise, over every kind of ledger."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.delivery import Outcome, State
from runner.errors import LedgerError, Refusal, UsageError
from runner.ledger.interface import Counts, LockLost, LockToken, Settlement, lock_name
from runner.ledger.liveness import this_process
from tests.ledger.conftest import (
    ACCEPTED,
    ADA,
    ANSWERS,
    CAMPAIGN,
    NOW,
    OCCURRENCE,
    REFUSED,
    RETRY,
    UNKNOWN,
    begin,
)
