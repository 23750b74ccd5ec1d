"""Measures coverage in every process of an environment; ``scripts/coverage`` has its interpreter run this at start-up.

awsv starts its children isolated and in a clean environment, so neither a variable nor a working folder can ask for it:
a ``.pth`` file in the environment does, for as long as a measurement lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _measure(root: str) -> None:
    import atexit
    import contextlib
    import os

    import coverage

    def start() -> coverage.Coverage:
        # No configuration file: a child may have any working folder, and to read one takes its time.
        made = coverage.Coverage(
            config_file=False,
            data_file=f"{root}/.cache/coverage/data",
            data_suffix=True,
            branch=True,
            include=[
                f"{root}/{part}/src/*" for part in ("core", "testkit", "vault-botocore", "plugins/*", "examples/*")
            ],
            check_preimported=False,
            messages=False,
        )
        made.set_option("run:disable_warnings", ["no-data-collected"])
        made.start()
        return made

    running = start()

    def save() -> None:
        # A process that has become another user, has no room or no descriptors left is not measured.
        with contextlib.suppress(BaseException):
            running.stop()
            running.save()

    def restart() -> None:
        nonlocal running
        running.stop()
        running = start()

    def saving(function: Callable[..., Any]) -> Callable[..., Any]:
        def saved(*args: Any) -> Any:
            save()
            try:
                return function(*args)
            finally:  # the program to become is not there
                restart()

        return saved

    atexit.register(save)
    os.register_at_fork(after_in_child=restart)
    for name in ("_exit", "execv", "execve"):
        setattr(os, name, saving(getattr(os, name)))
