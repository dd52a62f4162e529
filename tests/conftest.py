import os

import hypothesis
import pytest
import torch

from hfc import data

# Every run of CI tries the same examples, so that it fails only when the code has changed.
hypothesis.settings.register_profile("laptop", deadline=None, max_examples=60)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
hypothesis.settings.load_profile("ci" if "CI" in os.environ else "laptop")


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="device for tensor tests: cpu or cuda")


@pytest.fixture(scope="session")
def device(request):
    name = request.config.getoption("--device")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip(f"--device {name}, but there is no CUDA device")
    return torch.device(name)


@pytest.fixture(scope="module")
def one_thread():
    """For networks so small that a second thread only gets in the way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items):
    marked = [item for item in items if item.get_closest_marker("cifar10")]
    if marked and (state := data.state("cifar10")) != "ready":
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"needs the real CIFAR-10; {state}"))
