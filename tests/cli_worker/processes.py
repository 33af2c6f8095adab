"""Real processes with the command line, and waiting for what they do."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

LIMIT_S = 20.0

JOBS = """
import asyncio, os, pathlib, time
from scheduler import App, ActionContext, BlockingActionContext, MutationContext

app = App("jobs")
HERE = pathlib.Path(__file__).parent

@app.mutation
async def note(ctx: MutationContext, text: str) -> str:
    return text

@app.mutation(queue="mail")
async def elsewhere(ctx: MutationContext) -> int:
    return os.getpid()

@app.action
async def slow(ctx: ActionContext, seconds: float) -> str:
    (HERE / "slow").touch()
    await asyncio.sleep(seconds)
    return "slept"

@app.action
async def block_the_loop(ctx: ActionContext, seconds: float) -> None:
    (HERE / "blocked").touch()
    time.sleep(seconds)

@app.action
async def block_a_helper(ctx: ActionContext, seconds: float) -> None:
    (HERE / "blocked").touch()
    await asyncio.to_thread(time.sleep, seconds)

@app.action
def block_a_thread(ctx: BlockingActionContext, seconds: float) -> None:
    (HERE / "blocked").touch()
    time.sleep(seconds)
"""


def until(what: str, condition: Callable[[], T], limit_s: float = LIMIT_S) -> T:
    """Poll until a condition is true; its value."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {limit_s} s in vain until {what}"
        time.sleep(0.02)
    return value


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody waits for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Running:
    """A `duestream` process in a session of its own; what it says goes to a file."""

    def __init__(self, directory: Path, *arguments: str, url: str | None, number: int = 0) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DUESTREAM_", "REDIS_URL", "COV_"))}
        environment = kept | ({"REDIS_URL": url} if url else {})
        self._log = directory / f"said-{number}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker", *arguments],
                cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def until_said(self, pattern: str, times: int = 1) -> list[str]:
        """Wait until a pattern was said so many times; what was found."""
        found: list[str] = []

        def enough() -> bool:
            found[:] = re.findall(pattern, self.said())
            return len(found) >= times or self.process.poll() is not None

        until(f"{pattern!r} was said {times} times, but:\n{self.said()}", enough)
        assert len(found) >= times, f"it ended with {self.process.poll()} instead of saying {pattern!r}:\n{self.said()}"
        return found

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def code(self, limit_s: float = LIMIT_S) -> int:
        """Wait for its end."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {limit_s} s, and said:\n{self.said()}") from None

    def end(self) -> None:
        """Whatever it does: gently, so that it takes with it what it started, else it and what it named in its log."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        for pid in re.findall(r"process=\d+ pid=(\d+)", self.said()):
            with contextlib.suppress(ProcessLookupError):
                if is_alive(int(pid)) and os.getsid(int(pid)) == self.process.pid:
                    os.kill(int(pid), signal.SIGKILL)
