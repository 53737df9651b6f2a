"""The Hypothesis profile of `tests/conftest.py`: no test fails because the machine is busy."""

import hypothesis


def test_examples_have_no_deadline() -> None:
    assert hypothesis.settings().deadline is None
    assert hypothesis.settings(max_examples=3).deadline is None
    assert hypothesis.HealthCheck.too_slow in hypothesis.settings().suppress_health_check
