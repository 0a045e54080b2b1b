"""Where a command works: the provider's address, key and rate; the state folder; who works here."""

import getpass
import os
from dataclasses import replace

import pytest

from runner.cli.workplace import Workplace, make_private, open_workplace, user_name, versions
from runner.errors import UsageError
from runner.project import Project, ProviderSettings, Rate

ADA = ProviderSettings(
    name="ada", url="https://ada.example.com", sender="60110000001", rate=Rate(per_second=5.0)
)


@pytest.fixture(autouse=True)
def no_address(monkeypatch):
    monkeypatch.delenv("ADA_API_URL", raising=False)


@pytest.fixture
def workplace(tmp_path):
    return Workplace(
        project=Project(
            root=tmp_path,
            data=tmp_path / "data",
            state=tmp_path / ".runner",
            ledger="sqlite:///.runner/ledger.db",
            providers={"ada": ADA},
        )
    )


def with_ada(workplace, **changes):
    project = replace(workplace.project, providers={"ada": replace(ADA, **changes)})
    return replace(workplace, project=project)


def test_the_address_of_the_environment_wins_over_that_of_runner_yml(workplace, monkeypatch):
    assert workplace.provider_settings("ada").url == "https://ada.example.com"
    monkeypatch.setenv("ADA_API_URL", "https://other.example.com")
    assert workplace.provider_settings("ada").url == "https://other.example.com"


def test_a_sandbox_of_this_process_wins_over_both(workplace, monkeypatch):
    monkeypatch.setenv("ADA_API_URL", "https://other.example.com")
    rehearsal = replace(workplace, sandbox_url="http://127.0.0.1:1")
    assert rehearsal.provider_settings("ada").url == "http://127.0.0.1:1"


def test_without_an_address_it_says_where_to_write_it(workplace):
    with pytest.raises(UsageError, match="has no address") as info:
        with_ada(workplace, url=None).provider_settings("ada")
    assert "ADA_API_URL" in info.value.hint


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("http://ada.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("ftp://ada.example.com", False),
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
    ],
)
def test_a_key_never_travels_readable_over_the_network(workplace, monkeypatch, url, is_fine):
    monkeypatch.setenv("ADA_API_URL", url)
    if is_fine:
        assert workplace.provider_settings("ada").url == url
        return
    with pytest.raises(UsageError, match="without https"):
        workplace.provider_settings("ada")


def test_a_provider_that_runner_yml_does_not_name_is_an_error(workplace):
    with pytest.raises(UsageError, match="no provider 'meta'"):
        workplace.provider_settings("meta")


def test_the_rate_is_that_of_runner_yml(workplace):
    assert workplace.sending_rate("ada") == 5.0


@pytest.mark.parametrize("rate", [Rate(per_second=50.0), Rate(per_second=None)])
def test_no_other_rate_is_sent_at_over_the_network(workplace, rate):
    with pytest.raises(UsageError, match="for a provider on this machine only"):
        replace(workplace, rate=rate).sending_rate("ada")
    with pytest.raises(UsageError, match="for a provider on this machine only"):
        with_ada(workplace, rate=Rate(per_second=None)).sending_rate("ada")


def test_on_this_machine_any_rate_may_be_asked_for(workplace):
    local = with_ada(workplace, url="http://127.0.0.1:1")
    assert local.sending_rate("ada") == 5.0
    assert replace(local, rate=Rate(per_second=50.0)).sending_rate("ada") == 50.0
    assert replace(local, rate=Rate(per_second=None)).sending_rate("ada") is None


def test_a_rehearsal_keeps_no_rate_unless_one_is_asked_for(workplace):
    rehearsal = replace(workplace, rehearsal=True, sandbox_url="http://127.0.0.1:1")
    assert rehearsal.sending_rate("ada") is None
    assert replace(rehearsal, rate=Rate(per_second=5.0)).sending_rate("ada") == 5.0


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_there_is_no_provider(workplace, monkeypatch, key):
    monkeypatch.delenv("ADA_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("ADA_API_KEY", key)
    with pytest.raises(UsageError, match="ADA_API_KEY is not set"):
        workplace.provider("ada")


def test_a_key_is_in_no_repr(workplace, monkeypatch):
    monkeypatch.setenv("ADA_API_KEY", "real-s3cret")
    assert "s3cret" not in repr(workplace.provider("ada"))
    assert "s3cret" not in repr(workplace)


def test_the_state_folder_and_what_it_stands_in_are_for_their_owner(tmp_path):
    folder = tmp_path / "a/b/c"
    make_private(folder)
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent, folder.parent.parent)} == {0o700}


def test_a_state_folder_that_was_open_to_all_is_closed(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_place_of_the_state_folder_is_an_error(tmp_path):
    (tmp_path / "state").write_text("x")
    with pytest.raises(UsageError, match="the state folder cannot be used: File exists"):
        make_private(tmp_path / "state")


def test_a_project_is_found_from_a_folder_below_it(project, monkeypatch):
    monkeypatch.chdir(project.root / "data")
    with open_workplace() as workplace:
        assert workplace.project.root == project.root
        assert workplace.plans == project.root / ".runner/plans"
        assert not workplace.rehearsal


def test_a_rehearsal_has_plans_and_ledger_of_its_own(project):
    with open_workplace(rehearsal=True) as workplace:
        assert workplace.plans == project.root / ".runner/sandbox/plans"
        assert workplace.project.ledger == f"sqlite:///{project.root}/.runner/sandbox/ledger.db"
        assert workplace.sandbox_url is None


def test_a_container_user_without_a_name_is_called_by_number(monkeypatch):
    assert user_name() == getpass.getuser()

    def nameless():
        raise KeyError("getpwuid(): uid not found: 1000660000")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert user_name() == f"uid {os.getuid()}"


def test_a_plan_is_told_the_versions_that_made_it():
    assert set(versions()) == {"runner", "python", "duckdb", "phonenumbers"}
