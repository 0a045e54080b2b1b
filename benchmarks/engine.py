"""How fast the engine is with the rate lifted, beside a bare aiohttp loop to the same server."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from benchmarks.workshop import KEY, SENDER, make_project, messages, sandbox

_IN_FLIGHT = 128


def engine(folder: Path, people: int) -> dict[str, object]:
    """Send `people` messages, each with its durable intent and outcome; compare with sending alone."""
    project = make_project(folder, rate="unlimited")
    project.add_campaign("first", people)
    with sandbox(project, "--limit", "none") as url:
        project.run("plan", "first.yml", url=url)
        bare = [asyncio.run(_bare_loop(url, people))]
        before = len(messages(url))
        project.run("apply", "--auto-approve", url=url)
        times = [float(message["arrived"]) for message in messages(url)[before:]]
        bare.append(asyncio.run(_bare_loop(url, people)))
    ours = (len(times) - 1) / (max(times) - min(times))
    alone = sum(bare) / len(bare)
    return {
        "figure": "engine, rate lifted",
        "messages": len(times),
        "ours (messages/s)": round(ours),
        "bare aiohttp loop (messages/s)": round(alone),
        "ratio": f"{ours / alone:.0%}",
    }


async def _bare_loop(url: str, count: int) -> float:
    """Return the messages a second of a loop that only sends."""
    import aiohttp

    message = {
        "platform": "WA",
        "from": SENDER,
        "to": "628123456789",
        "type": "template",
        "templateName": "promo",
        "templateLang": "id",
        "templateData": ["Ayu", "1", "LEBARAN25"],
    }
    body = json.dumps(message).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    numbers = iter(range(count))
    async with aiohttp.ClientSession(
        headers=headers, connector=aiohttp.TCPConnector(limit=_IN_FLIGHT)
    ) as session:

        async def worker() -> None:
            for _ in numbers:
                async with session.post(f"{url}/message", data=body) as answer:
                    await answer.json()

        started = time.monotonic()
        await asyncio.gather(*(worker() for _ in range(_IN_FLIGHT)))
        return count / (time.monotonic() - started)
