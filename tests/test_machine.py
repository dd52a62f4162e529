"""``hfc.machine``: what the environment says is heeded, and everything is put back."""

import re

import pytest
import torch

from hfc.machine import autocast, default_device, progress_bar, threads, using_threads


def test_default_device():
    assert default_device() == torch.device("cuda" if torch.cuda.is_available() else "cpu")


def test_autocast_is_bfloat16_or_nothing(device):
    a, b = torch.rand(2, 8, 8, device=device)
    with autocast(device):
        inside = a @ b
    assert inside.dtype in (torch.float32, torch.bfloat16)
    assert (a @ b).dtype == torch.float32
    torch.testing.assert_close(inside.float(), a @ b, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("text", "wanted"), [(None, 1), ("1", 1), ("2", 2), ("64", 64)])
def test_threads(text, wanted, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if text is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert threads() == wanted


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "", "4,2"])
def test_threads_that_are_no_number(text, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    wanted = f"OMP_NUM_THREADS must be a whole number of at least 1, got {text!r}"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        threads()


def test_using_threads():
    before = torch.get_num_threads()
    with using_threads(3):
        assert torch.get_num_threads() == 3
        with using_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError, match="broken"), using_threads(before + 1):
        raise RuntimeError("broken")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("n", [0, -2])
def test_using_no_threads(n):
    with pytest.raises(ValueError, match=f"n must be at least 1, got {n}"), using_threads(n):
        pass


@pytest.mark.parametrize(
    ("show", "variable", "seen"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_progress_bar(show, variable, seen, capfd, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", variable)
    with progress_bar(5, initial=2, desc="walking", unit="step", show=show) as bar:
        bar.update()
        bar.refresh()
    out, err = capfd.readouterr()
    assert not out
    assert ("walking" in err) == seen
    assert ("3/5" in err) == seen
