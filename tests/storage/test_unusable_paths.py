"""Paths in settings that no file can have are refused when they are read."""

import json

import pytest

from mediafm_core.config.settings import load_settings
from mediafm_core.errors import ConfigurationError


@pytest.mark.parametrize("path", ["1" * 400, "a/" * 3000, "a\0b", "\ud800"], ids=ascii)
@pytest.mark.parametrize(
    "setting", ["inbox", "store", "serving_model", "training.start_from", "s3.cache"]
)
def test_a_path_that_no_file_can_have_is_refused(setting: str, path: str) -> None:
    section, _, name = setting.rpartition(".")
    values = {section: {name: path}} if section else {name: path}
    with pytest.raises(ConfigurationError, match=f"Setting '{setting}.*the path ") as caught:
        load_settings(**json.loads(json.dumps(values)))
    assert len(str(caught.value)) <= 300
