"""How well the rate is kept and used, judged by the sandbox's own arrival times."""

from __future__ import annotations

from pathlib import Path

from benchmarks.workshop import make_project, messages, sandbox

RATE = 5
_LATENCY = "300ms+-20ms"


def one_apply(folder: Path, people: int) -> dict[str, object]:
    """One apply at 5/s against answers of 300 +/- 20 ms."""
    project = make_project(folder, rate=f"{RATE}/s")
    project.add_campaign("first", people)
    with sandbox(project, "--latency", _LATENCY) as url:
        project.run("plan", "first.yml", url=url)
        project.run("apply", "--auto-approve", url=url)
        return _judge("one apply", messages(url), people)


def two_applies(folder: Path, people: int) -> dict[str, object]:
    """Two applies of different campaigns, from two processes, on one sender."""
    project = make_project(folder, rate=f"{RATE}/s")
    project.add_campaign("first", people // 2)
    project.add_campaign("second", people // 2, first=60_000_000)
    with sandbox(project, "--latency", _LATENCY) as url:
        processes = [
            project.start("apply", "--auto-approve", f"{name}.yml", url=url) for name in ("first", "second")
        ]
        for process in processes:
            process.communicate(timeout=1200)
        return _judge("two applies", messages(url), people, inner=True)


def _judge(
    name: str, arrived: list[dict[str, object]], people: int, *, inner: bool = False
) -> dict[str, object]:
    """Count sliding seconds above the rate; use is measured while all processes were sending."""
    times = sorted(float(str(message["arrived"])) for message in arrived)
    seconds_above = sum(late - early <= 1.0 for early, late in zip(times, times[RATE:], strict=False))
    busy = times[len(times) // 10 : -len(times) // 10] if inner else times
    use = (len(busy) - 1) / (busy[-1] - busy[0]) / RATE
    return {
        "figure": name,
        "messages": len(times),
        "expected": people,
        "sliding seconds above 5": seconds_above,
        "narrowest 6 messages (s)": round(min(b - a for a, b in zip(times, times[RATE:], strict=False)), 4),
        "use of the rate": f"{use:.2%}",
    }
