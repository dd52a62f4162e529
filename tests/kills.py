"""Work that is killed at bad moments and started again until it gets through.

To be used in a process of its own that has not computed anything yet: each attempt is a fork,
which leads a process group, so that the workers it has started die with it.
"""

import contextlib
import os
import random
import signal
import time
import traceback

import torch


def load_all_of_torch():
    """Torch loads parts of itself with the first optimizer: once, not in every attempt."""
    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1)], lr=1)


def until_done(work, *, seed=0, after=lambda: None, longest=0.05, growth=1.5):
    """Call ``work`` in processes killed at random moments and at the end of a write.

    Returns the number of attempts that were killed; after each attempt ``after`` is called. The
    first attempts die in the middle of their first, second and third write: a new file is
    complete, but not yet in its place. The next live for up to ``longest`` seconds, each time for
    ``growth`` times longer.
    """
    rng, kills = random.Random(seed), 0
    for writes in (1, 2, 3):
        kills += not _attempt(work, writes=writes)
        after()
    # The clock starts anew, so that slow machines are not killed over and over.
    while not _attempt(work, seconds=rng.uniform(0, longest)):
        after()
        kills += 1
        longest *= growth
    after()
    return kills


def finish(work):
    """Call ``work`` in a process that nobody kills."""
    assert _attempt(work)


def _attempt(work, *, seconds=None, writes=None):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setpgid(0, 0)
            if writes is not None:
                _die_at(writes)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, 0 if end is None else os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            _kill(child)
            end = None
        time.sleep(0.001)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    assert status == 0, f"an attempt ended with status {status}"
    return True


def _kill(child):
    with contextlib.suppress(ProcessLookupError):  # it has not come to lead a group yet
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)


def _die_at(writes):
    replace, seen = os.replace, 0

    def dying(*arguments):
        nonlocal seen
        seen += 1
        if seen == writes:
            os.killpg(0, signal.SIGKILL)
        replace(*arguments)

    os.replace = dying
