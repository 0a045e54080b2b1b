"""The product's promises in thousands of simulated worlds; a broken one says how to see it again."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.simulation.__main__ import workshop
from tests.simulation.door import WAIT
from tests.simulation.mishaps import RATE
from tests.simulation.promises import broken
from tests.simulation.world import live

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 2000
PART = 250


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_every_promise_holds_in_every_world(first):
    command = [sys.executable, "-m", "tests.simulation", str(first), "--seeds", str(PART)]
    lived = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert lived.returncode == 0, lived.stdout + lived.stderr


@pytest.mark.parametrize("seed", range(3000, 3060))
def test_a_disturbed_world_comes_to_what_an_undisturbed_one_does_but_for_unknowns(tmp_path, seed):
    folders = (tmp_path / "disturbed", tmp_path / "undisturbed")
    for folder in folders:
        folder.mkdir()
    disturbed, undisturbed = live(seed, folders[0]), live(seed, folders[1], undisturbed=True)
    for plan in disturbed.plans:
        smooth = undisturbed.ended[plan.campaign]
        for phone, state in disturbed.ended[plan.campaign].items():
            if not disturbed.may_be_barred(phone) and "unknown" not in {state.value, smooth[phone].value}:
                assert state is smooth[phone]


def test_a_world_is_the_same_each_time_it_is_lived(tmp_path):
    worlds = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        worlds.append(live(4, tmp_path / name))
    first, second = ([(round(a.at, 6), a.tag, a.taken) for a in world.door.arrivals] for world in worlds)
    assert first == second


def test_two_campaigns_of_one_sender_share_its_rate_by_their_priorities_and_the_last_has_all_of_it():
    with tempfile.TemporaryDirectory(dir=workshop()) as folder:
        world = live(7, Path(folder), people=300, undisturbed=True, priorities=(3, 1))
        assert broken(world) == []
    first, second = (
        sorted(arrival.at - world.start for arrival in world.door.arrivals if arrival.tag.startswith(name))
        for name in ("promo/", "second/")
    )
    # Later the first has no more than a few to try again.
    together = first[280]
    shares = [sum(at <= together for at in arrivals) for arrivals in (first, second)]
    assert shares[0] / shares[1] == pytest.approx(3, rel=0.05)
    assert sorted(first + second)[600] < 1.02 * 600 / RATE + WAIT * world.door.waits


def test_a_large_campaign_keeps_every_promise_and_uses_the_rate():
    with tempfile.TemporaryDirectory(dir=workshop()) as folder:
        world = live(7, Path(folder), people=5_000, undisturbed=True)
        assert broken(world) == []
    times = [arrival.at for arrival in world.door.arrivals]
    at_full_rate = len(times) / RATE
    assert at_full_rate < max(times) - min(times) < 1.02 * at_full_rate + WAIT * world.door.waits
