import random
import subprocess
import sys

import pytest

from runner.errors import UsageError
from runner.sandbox.settings import Latency, SandboxSettings, parse_latency


@pytest.mark.parametrize(
    ("text", "base", "jitter"),
    [
        ("300ms", 0.3, 0),
        ("0.3s", 0.3, 0),
        (" 1s ", 1, 0),
        ("300ms±20ms", 0.3, 0.02),
        ("300ms+-20ms", 0.3, 0.02),
        ("300ms +/- 20ms", 0.3, 0.02),
        ("300+-20ms", 0.3, 0.02),
        ("1.5±0.5s", 1.5, 0.5),
        ("0ms", 0, 0),
    ],
)
def test_a_latency_is_read_with_and_without_jitter(text, base, jitter):
    latency = parse_latency(text)
    assert (latency.base, latency.jitter) == (pytest.approx(base), pytest.approx(jitter))
    assert parse_latency(str(latency)) == latency


@pytest.mark.parametrize("text", ["", "300", "fast", "300ms+-", "+-20ms", "1s+-2s+-3s", "-5ms", "300ms+20ms"])
def test_what_is_no_latency_is_refused(text):
    with pytest.raises(UsageError) as caught:
        parse_latency(text)
    assert "300ms" in caught.value.hint


def test_a_sample_stays_within_the_jitter_and_never_below_zero():
    chance = random.Random(1)
    samples = [Latency(base=0.3, jitter=0.02).sample(chance) for _ in range(500)]
    assert min(samples) >= 0.28
    assert max(samples) <= 0.32
    assert max(samples) - min(samples) > 0.03
    assert min(Latency(base=0.0, jitter=0.1).sample(chance) for _ in range(50)) == 0


@pytest.mark.parametrize(
    "settings", [{"limit": 0.0}, {"limit": -1.0}, {"limit": float("nan")}, {"senders": ()}]
)
def test_settings_that_cannot_be_served_are_refused(settings):
    with pytest.raises(UsageError):
        SandboxSettings(**settings)


def test_the_settings_import_no_server():
    code = "import sys, runner.sandbox.settings, runner.sandbox.faults; print('aiohttp' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )
