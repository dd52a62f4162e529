import statistics

import pytest

TIMES = pytest.StashKey[dict]()


@pytest.fixture
def timed(benchmark, request):
    """Time a function, ``timed(function, *args, group=..., name=..., rounds=...)``."""

    def run(function, *args, group, name, rounds=15):
        benchmark.group, benchmark.name = group, name
        result = benchmark.pedantic(
            function, args=args, rounds=rounds, warmup_rounds=min(2, rounds - 1)
        )
        if benchmark.stats:  # not with --benchmark-disable
            groups = request.config.stash.setdefault(TIMES, {})
            groups.setdefault(group, {})[name] = statistics.median(benchmark.stats.stats.data)
        return result

    return run


def pytest_terminal_summary(terminalreporter, config):
    """Print each group's median times and how they compare with the group's first one."""
    groups = config.stash.get(TIMES, {})
    if groups:
        terminalreporter.section("ratios")
    for group, times in groups.items():
        terminalreporter.line(group)
        first = next(iter(times.values()))
        for name, seconds in times.items():
            terminalreporter.line(f"  {name:22} {1000 * seconds:9.2f} ms {seconds / first:8.2f} x")
