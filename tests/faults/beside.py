"""Cases played beside each other, for most of each is waiting: all that the selected tests ask for, from the first of
them on.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import pytest

from scheduler import EmbeddedServer
from tests.conftest import ACCOUNT
from tests.faults.stage import Stage
from tests.faults.zygote import Zygote

T = TypeVar("T")


@contextmanager
def played(
    request: pytest.FixtureRequest,
    folders: pytest.TempPathFactory,
    test: str,
    play: Callable[[str, Stage], T],
    at_once: Mapping[str, int],
    line_of: Callable[[str], str] = lambda _: "",
) -> Iterator[dict[str, Future[T]]]:
    """What becomes of each case, on one server and from one zygote, each on a stage of its own.

    Args:
        request: Of the fixture; which tests are selected.
        folders: Makes the folders.
        test: The test whose parameter `case` names the cases.
        play: Plays one.
        at_once: How many cases at once, by line.
        line_of: In which line a case waits.
    """
    selected = [
        str(item.callspec.params["case"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == test
    ]
    with ExitStack() as opened:
        opened.enter_context(request.config.stash[ACCOUNT].of_background_work())
        server = opened.enter_context(EmbeddedServer(folders.mktemp("server"), persistent=False))
        zygote = opened.enter_context(Zygote())
        lines = {name: opened.enter_context(ThreadPoolExecutor(count)) for name, count in at_once.items()}

        def stand(case: str) -> T:
            with Stage(zygote, server.url, folders.mktemp("case"), f"c{secrets.token_hex(6)}") as stage:
                return play(case, stage)

        yield {case: lines[line_of(case)].submit(stand, case) for case in selected}
        for line in lines.values():
            line.shutdown(cancel_futures=True)
