"""Where a command works: the project, its provider and its ledger, as the environment and the flags say.

With `--sandbox` the provider is the shipped sandbox, started within this process, and plans and ledger live
in a folder of their own: a rehearsal never touches the real accounts.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from runner.clock import SteadyClock
from runner.encrypted_file import KEY_VARIABLE as PLAN_KEY_VARIABLE
from runner.encrypted_file import FileKey, read_key
from runner.errors import UsageError
from runner.project import Project, ProviderSettings, Rate

if TYPE_CHECKING:
    from runner.providers.interface import Provider
    from runner.sandbox.settings import SandboxSettings
    from runner.sandbox.td_settings import TdSandboxSettings
    from runner.treasure_data.account import Account

#: The environment's names for what no file may hold or what differs between machines.
URL_VARIABLE = "ADA_API_URL"
KEY_VARIABLE = "ADA_API_KEY"

#: A made-up token of the right shape: the sandbox asks for no more.
_SANDBOX_KEY = "c2FuZGJveA.c2FuZGJveA.c2FuZGJveA"
_SANDBOX_STATE = "sandbox"
_SANDBOX_TD_KEY = f"1/{0:040d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TdFlags:
    """What the command line says of the Treasure Data account; it wins over the environment."""

    key: str | None = field(default=None, repr=False)
    site: str | None = None


def _no_account() -> Account:
    raise UsageError("this command does not ask Treasure Data", hint="run it without --sandbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """One command's surroundings. `project` has the state folder and ledger that this command uses.

    `account` finds the Treasure Data account when it is asked for, and in a rehearsal starts its sandbox. All
    that is timed within the command goes by `clock`.
    """

    project: Project
    rehearsal: bool = False
    sandbox_url: str | None = None
    rate: Rate | None = None
    account: Callable[[], Account] = _no_account
    clock: SteadyClock = field(default_factory=SteadyClock)

    @property
    def plans(self) -> Path:
        """Return the folder of plan files."""
        return self.project.state / "plans"

    @property
    def workspace(self) -> Path:
        """Return the private folder for intermediate files."""
        return self.project.state / "work"

    @property
    def run_logs(self) -> Path:
        """Return the folder of run logs."""
        return self.project.state / "runs"

    def provider_settings(self, name: str) -> ProviderSettings:
        """Return the provider's settings, with what the environment and the flags change."""
        from runner.project_file import is_loopback

        settings = self.project.providers.get(name)
        if settings is None:
            raise UsageError(
                f"runner.yml has no provider {name!r}",
                hint="add it under `providers:` with its url and sender",
            )
        url = self.sandbox_url or os.environ.get(URL_VARIABLE) or settings.url
        if not url:
            raise UsageError(
                f"the provider {name!r} has no address",
                hint=f"set {URL_VARIABLE}, or providers.{name}.url in runner.yml; or rehearse with --sandbox",
            )
        if not url.startswith("https://") and not is_loopback(url):
            raise UsageError(
                f"the provider {name!r} has an address without https: the key would travel readable",
                hint=f"write {URL_VARIABLE}, or providers.{name}.url in runner.yml, with https://",
            )
        return replace(settings, url=url)

    def sending_rate(self, name: str) -> float | None:
        """Return the rate to send at, in messages a second; None is unlimited.

        The sandbox of a rehearsal has no rate to keep, unless one was asked for.
        """
        wanted = self.rate or (Rate(per_second=None) if self.rehearsal else self.provider_settings(name).rate)
        changed = self.rate is not None or wanted.per_second is None
        if changed and not self.is_local(name):
            raise UsageError(
                f"the rate {wanted} is for a provider on this machine only",
                hint="a provider on the network is sent to at the rate in runner.yml",
            )
        return wanted.per_second

    def provider(self, name: str) -> Provider:
        """Return the provider, ready to be asked."""
        from runner.providers import provider

        return provider(name, self.provider_settings(name), self._key(), self.clock.now)

    def is_local(self, name: str) -> bool:
        """Tell whether the provider is on this machine."""
        from runner.project_file import is_loopback

        return is_loopback(self.provider_settings(name).url or "")

    def _key(self) -> str:
        if self.sandbox_url is not None:
            return _SANDBOX_KEY
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            raise UsageError(
                f"{KEY_VARIABLE} is not set",
                hint=f"export {KEY_VARIABLE}=... (no file may hold it); or rehearse with --sandbox",
            )
        return key


@contextmanager
def open_workplace(
    *, sandbox: bool = False, rehearsal: bool = False, rate: str | None = None, td: TdFlags | None = None
) -> Iterator[Workplace]:
    """Find the project around the current folder; `sandbox` also starts the provider to rehearse with.

    `rehearsal` alone is for looking at what earlier rehearsals left.
    """
    from runner.project_file import find_project_root, load_project, parse_rate

    project = load_project(find_project_root(Path.cwd()))
    account = cache(lambda: _account(project, td or TdFlags()))
    workplace = Workplace(project=project, rate=parse_rate(rate) if rate else None, account=account)
    make_private(project.state)
    if sandbox or rehearsal:
        state = project.state / _SANDBOX_STATE
        rehearsed = replace(project, state=state, ledger=f"sqlite:///{state / 'ledger.db'}")
        workplace = replace(workplace, project=rehearsed, rehearsal=True)
        make_private(state)
    if not sandbox:
        yield workplace
        return
    from runner.sandbox.serving import running_sandbox

    with ExitStack() as stack:
        running = stack.enter_context(running_sandbox(sandbox_settings(project, rate=workplace.rate)))
        local = cache(lambda: _sandbox_account(workplace.project, stack))
        yield replace(workplace, sandbox_url=running.url, account=local)


def _account(project: Project, flags: TdFlags) -> Account:
    from runner.treasure_data.account import find_account

    return find_account(
        os.environ, home=Path.home(), key=flags.key, site=flags.site, project_site=project.td_site
    )


def _sandbox_account(project: Project, stack: ExitStack) -> Account:
    """Start the Treasure Data sandbox of a rehearsal, and return the account that it takes."""
    from runner.sandbox.td_serving import running_td_sandbox
    from runner.treasure_data.account import Account

    running = stack.enter_context(running_td_sandbox(td_sandbox_settings(project)))
    return Account(
        key=_SANDBOX_TD_KEY,
        key_source="the sandbox",
        site=None,
        api=running.url,
        presto=running.url,
        cdp=running.url,
    )


def td_sandbox_settings(project: Project) -> TdSandboxSettings:
    """Return the Treasure Data sandbox of a rehearsal: on the project's data; it keeps what is written."""
    from runner.sandbox.td_settings import TdSandboxSettings

    return TdSandboxSettings(
        data=project.data, store=project.state / "treasure_data", audiences=project.sandbox_audiences
    )


def sandbox_settings(project: Project, *, rate: Rate | None) -> SandboxSettings:
    """Return the sandbox of a rehearsal: the project's senders and templates, the limit asked for."""
    from runner.sandbox.settings import SandboxSettings

    return SandboxSettings(
        senders=tuple(provider.sender for provider in project.providers.values()),
        templates=project.sandbox_templates,
        limit=rate.per_second if rate else None,
    )


def make_private(folder: Path) -> None:
    """Make `folder`, and those above it that are not there yet, for the owner only."""
    try:
        for part in (*reversed([part for part in folder.parents if not part.exists()]), folder):
            part.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise UsageError(
            f"{folder}: the state folder cannot be used: {error.strerror}",
            hint="check `state` in runner.yml, and that this user may write there",
        ) from error


def plan_key() -> FileKey | None:
    """Return the key that plan files are encrypted with, None where the environment names none."""
    text = os.environ.get(PLAN_KEY_VARIABLE, "").strip()
    return read_key(text) if text else None


def user_name() -> str:
    """Return who works here, as the ledger records it; in a container a user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def versions() -> Mapping[str, str]:
    """Return the versions that took part in a plan."""
    import platform

    import duckdb
    import phonenumbers

    from runner import __version__

    return {
        "runner": __version__,
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
        "phonenumbers": phonenumbers.__version__,
    }
