"""A program for test_terminal.py to run: asks as a file of JSON says, and writes what came of it to another."""

from __future__ import annotations

import json
import os
import signal
import sys
import termios
import threading
import time
import tty
from pathlib import Path
from typing import Any

from vault_core.errors import VaultError
from vault_core.terminal import Terminal


def answer(call: dict[str, Any]) -> dict[str, Any]:
    """One call of the terminal, and its outcome as JSON."""
    terminal = Terminal()
    limit = call.get("deadline")
    try:
        match call["do"]:
            case "ask":
                deadline = None if limit is None else time.monotonic() + limit
                asker = call.get("asker", "")
                secret = terminal.ask(call["question"], secret=call["secret"], asker=asker, deadline=deadline)
                return {"answer": secret.reveal_text()}
            case "confirm":
                return {"answer": terminal.confirm(call["question"], default=call.get("default", False))}
            case "why_not":
                return {"answer": terminal.why_not()}
            case "write":
                terminal.write(call["question"])
                return {"answer": None}
            case "what_is_left":
                return {"answer": what_is_left()}
    except VaultError as error:
        return {"error": type(error).__name__, "message": error.message}
    raise ValueError(call["do"])


def what_is_left() -> str:
    """What the next program at this terminal would read."""
    fd = os.open("/dev/tty", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, 4096).decode()
    except BlockingIOError:
        return ""
    finally:
        os.close(fd)


def modes() -> list[Any]:
    with Path("/dev/tty").open("rb", buffering=0) as file:
        return [str(value) for value in termios.tcgetattr(file)]


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text())
    if plan.get("raw"):
        tty.setraw(0)
    if "ignored" in plan:
        signal.signal(plan["ignored"], signal.SIG_IGN)
    if plan.get("handle_term"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    before = modes() if plan.get("modes") else None
    descriptors = os.listdir("/dev/fd")  # noqa: PTH208 - names are wanted
    while "go" in plan and not Path(plan["go"]).exists():
        time.sleep(0.01)

    results: list[dict[str, Any]] = []

    def work() -> None:
        results.extend(answer(call) for call in plan["calls"])

    if plan.get("thread"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    else:
        work()
    assert handlers == {number: signal.getsignal(number) for number in signal.valid_signals()}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    assert signal.set_wakeup_fd(-1) == -1
    assert descriptors == os.listdir("/dev/fd")  # noqa: PTH208 - names are wanted
    if before:
        assert modes() == before
    result = Path(plan["result"])
    result.with_suffix(".part").write_text(json.dumps(results))
    os.rename(result.with_suffix(".part"), result)  # noqa: PTH104 - Path.rename returns a new path nobody needs


if __name__ == "__main__":
    main()
