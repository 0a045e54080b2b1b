"""A few seconds of every fuzzer, and that they would notice what they look for."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import strategies as st

from runner.errors import RunnerError
from tests.fuzz import __main__ as command
from tests.fuzz.fuzzing import fuzz
from tests.fuzz.judging import HangError, judge
from tests.fuzz.targets import TARGETS, Target

ROOT = Path(__file__).resolve().parent.parent.parent
INPUTS = {"import": 20, "plan-document": 60}


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_in_is_read_or_refused(name, tmp_path):
    wanted = INPUTS.get(name, 300)
    tally = fuzz(TARGETS[name], inputs=wanted, seed=1, folder=tmp_path)
    assert tally.inputs >= wanted


@pytest.mark.parametrize("name", TARGETS)
def test_the_inputs_begin_from_files_that_are_accepted(name, tmp_path):
    assert any(judge(TARGETS[name].reader, seed, tmp_path) for seed in TARGETS[name].seeds())


def target(reader):
    return Target(reader=reader, thinking=lambda: st.binary(max_size=20), seeds=tuple, share=0)


def test_any_other_error_comes_out(tmp_path):
    def reader(data, _folder):
        if len(data) > 3:
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        fuzz(target(reader), inputs=200, seed=1, folder=tmp_path)


def test_an_error_by_a_plain_edit_comes_out_with_the_input_to_see_it_again(tmp_path, capsys):
    def reader(data, _folder):
        if data.startswith(b"xyz"):
            raise ValueError("a bug")

    sharp = Target(
        reader=reader, seeds=lambda: (b"a",), words=(b"xyz",), thinking=lambda: st.just(b""), share=0
    )
    with pytest.raises(ValueError, match="a bug"):
        fuzz(sharp, inputs=2000, seed=1, folder=tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert base64.b64decode(line.removeprefix("--input ")).startswith(b"xyz")


def test_an_input_that_hangs_comes_out(tmp_path):
    def reader(_data, _folder):
        while True:
            pass

    with pytest.raises(HangError):
        judge(reader, b"", tmp_path, longest=0.05)


def test_an_error_that_says_nothing_comes_out(tmp_path):
    def reader(_data, _folder):
        raise RunnerError(" ")

    with pytest.raises(AssertionError):
        judge(reader, b"", tmp_path)


def test_the_command_knows_every_target_and_shares_out_a_thousand():
    assert tuple(TARGETS) == command.NAMES
    assert sum(target.share for target in TARGETS.values()) == 1000


def test_the_command_fuzzes_and_reads_one_input_again():
    def call(*arguments):
        line = [sys.executable, "-m", "tests.fuzz", *arguments]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert "yaml: 50 inputs" in call("yaml", "--inputs", "50", "--seed", "3").stdout
    again = call("yaml", "--input", base64.b64encode(b"a: [").decode())
    assert (again.returncode, again.stdout) == (0, "refused\n")
