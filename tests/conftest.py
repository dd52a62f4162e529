import os

import hypothesis
import pytest
import torch

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
