"""One question at a time at one terminal, whichever process asks.

The answer to two questions at once would go to either of them, and the first to end would turn the echo on again for
the passphrase of the other. Processes with the same controlling terminal share a session; its id names the lock.
"""

import os
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from vault_core import files
from vault_core.errors import QuestionRefused, SourceUnavailable


def held(folder: Path, deadline: float | None) -> AbstractContextManager[object]:
    """Hold the right to ask at this terminal.

    :param folder: holds the lock; made if necessary. Where it cannot be made or locked, the question is asked anyway.
    :param deadline: on the clock of :func:`time.monotonic`; None waits for ever.
    :raises QuestionRefused: Ctrl-C while another process asks: it is meant for this question, too.
    :raises SourceUnavailable: the other question was not answered by the deadline.
    """
    timeout = None if deadline is None else deadline - time.monotonic()
    try:
        return files.held(folder / f"terminal-{os.getsid(0)}.lock", timeout=timeout)
    except TimeoutError:
        raise SourceUnavailable("another question at this terminal was not answered in time") from None
    except KeyboardInterrupt:
        raise QuestionRefused("no answer: interrupted") from None
    except OSError:
        return nullcontext()
