"""A session leader for test_terminal.py: gives the foreground to a program, and takes it back without any signal.

Arguments: ``raw`` or ``as-it-is`` (what it does with the terminal's modes after that), then the program.
"""

from __future__ import annotations

import os
import signal
import sys
import tty

TERMINAL = 0


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    taken = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.read(taken[0], 1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})
        os.execv(sys.argv[2], sys.argv[2:])
    os.setpgid(child, child)
    os.tcsetpgrp(TERMINAL, child)
    os.write(taken[1], b".")
    signal.sigwait({signal.SIGTTOU})  # the test says when
    os.tcsetpgrp(TERMINAL, os.getpgrp())
    if sys.argv[1] == "raw":
        tty.setraw(TERMINAL)
    os.write(TERMINAL, b"taken back")
    os.waitpid(child, 0)
    signal.sigwait({signal.SIGTTOU})  # the test has seen the modes


if __name__ == "__main__":
    main()
