"""Precision and threads of networks follow the settings and the device."""

from contextlib import suppress

import pytest
import torch

from mediafm_core.config.settings import Settings
from mediafm_core.runtime.precision import autocast, fast_precision, torch_dtype, vector_precision
from mediafm_core.runtime.threads import torch_threads


def test_stored_vectors_are_float32_unless_bfloat16_is_set() -> None:
    found = [vector_precision(Settings(precision=each)) for each in ("auto", "float32", "bfloat16")]
    assert found == ["float32", "float32", "bfloat16"]


@pytest.mark.parametrize(
    ("device", "on_cpu", "gpu_native", "amx", "expected"),
    [
        ("cuda:0", False, True, False, "bfloat16"),
        ("cuda", False, False, True, "float32"),
        ("cpu", False, True, True, "float32"),
        ("cpu", True, False, True, "bfloat16"),
        ("cpu", True, True, False, "float32"),
    ],
)
def test_auto_is_bfloat16_where_it_is_native(
    device: str,
    on_cpu: bool,
    gpu_native: bool,
    amx: bool,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: gpu_native)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    assert fast_precision("auto", device, on_cpu) == expected
    assert fast_precision("auto", torch.device(device), on_cpu) == expected
    for setting in ("float32", "bfloat16"):
        assert fast_precision(setting, device, on_cpu) == setting


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_a_network_computes_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    assert torch_dtype(precision) == dtype
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize(("count", "within"), [(0, 3), (2, 2)])
def test_the_number_of_threads_is_restored(count: int, within: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with suppress(InterruptedError), torch_threads(count):
            assert torch.get_num_threads() == within
            raise InterruptedError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
