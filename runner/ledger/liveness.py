"""Which process is this, and does that one still run? For the locks of a ledger on one machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from runner.ledger.interface import Holder

_PROC = Path("/proc")


def this_process(owner: str) -> Holder:
    """Return this process as the holder of locks for `owner`, the person or account it runs for."""
    pid = os.getpid()
    return Holder(owner=owner, host=socket.gethostname(), pid=pid, process_started=started(pid))


def is_beside(holder: Holder, other: Holder) -> bool:
    """Tell whether two processes see each other: same machine, same boot, same pid namespace.

    Names do not tell: two machines may have the same one, and so may two containers of one machine.
    """
    places = {_place(each) for each in (holder, other)}
    return holder.host == other.host and len(places) == 1 and "" not in places


def is_running(holder: Holder, *, proc: Path = _PROC) -> bool:
    """Tell whether a holder on this machine still runs; when that cannot be known, it does."""
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, for another user
    if _is_zombie(holder.pid, proc):
        return False
    since = started(holder.pid, proc=proc)
    return since is None or holder.process_started in {None, since}


def started(pid: int, *, proc: Path = _PROC) -> str | None:
    """Return what tells a process from a later one with its pid: the boot, the pid namespace, the clock tick.

    None where the system does not say.
    """
    fields = _stat(pid, proc)
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return f"{boot}:{_pid_namespace(proc)}:{fields[19]}" if fields else None


def _place(holder: Holder) -> str:
    return (holder.process_started or "").rpartition(":")[0]


def _pid_namespace(proc: Path) -> str:
    """Return the number of this process's pid namespace, in which all pids here are; empty if unknown."""
    try:
        return (proc / "self/ns/pid").readlink().name.removeprefix("pid:[").removesuffix("]")
    except OSError:
        return ""


def _is_zombie(pid: int, proc: Path) -> bool:
    fields = _stat(pid, proc)
    return bool(fields) and fields[0] == "Z"


def _stat(pid: int, proc: Path) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the name, which may itself hold spaces and brackets."""
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
