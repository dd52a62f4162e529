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
            groups.setdefault(group, {})[name] = benchmark.stats.stats.min
        return result

    return run


def pytest_terminal_summary(terminalreporter, config):
    """Print the fastest round of each, the least disturbed, and its ratio to the group's first."""
    groups = config.stash.get(TIMES, {})
    if groups:
        terminalreporter.section("fastest rounds and their ratios")
    for group, times in groups.items():
        terminalreporter.line(group)
        first = next(iter(times.values()))
        for name, seconds in times.items():
            terminalreporter.line(f"  {name:22} {1000 * seconds:9.2f} ms {seconds / first:8.2f} x")
