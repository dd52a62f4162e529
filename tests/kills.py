"""Work that is killed at bad moments and started again until it gets through.

To be used in a process of its own that has not computed anything yet: each attempt is a fork.
"""

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


def until_done(work, *, seed=0):
    """Call ``work`` in processes killed at random moments and at the end of a write.

    Returns the number of attempts that were killed. The first attempts die in the middle of
    their first, second and third write: a new file is complete, but not yet in its place.
    """
    rng, kills = random.Random(seed), 0
    for writes in (1, 2, 3):
        kills += not _attempt(work, writes=writes)
    # The clock starts anew, so that slow machines are not killed over and over.
    longest = 0.05
    while not _attempt(work, seconds=rng.uniform(0, longest)):
        kills += 1
        longest *= 1.5
    return kills


def finish(work):
    """Call ``work`` in a process that nobody kills."""
    assert _attempt(work)


def _attempt(work, *, seconds=None, writes=None):
    child = os.fork()
    if child == 0:
        status = 1
        try:
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
            os.kill(child, signal.SIGKILL)
            end = None
        time.sleep(0.001)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    assert status == 0, f"an attempt ended with status {status}"
    return True


def _die_at(writes):
    replace, seen = os.replace, 0

    def dying(*arguments):
        nonlocal seen
        seen += 1
        if seen == writes:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*arguments)

    os.replace = dying
