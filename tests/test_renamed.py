"""Old names of modules: each imports the new module, warns, and runs as a command."""

import importlib
import subprocess
import sys

import pytest

from mediafm_core.renamed import MODULES, PACKAGES


@pytest.mark.parametrize("old", MODULES)
def test_an_old_name_is_the_new_module(old: str):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=rf"{old} is now {MODULES[old]}"):
        found = importlib.import_module(old)
    assert found is importlib.import_module(MODULES[old])
    assert found.__spec__ is not None
    assert found.__spec__.name == found.__name__ == MODULES[old]


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("mediafm_assets.cli", "run"),
        ("mediafm_assets.resources", "PlatformResource"),
        ("mediafm_core.config", "load_settings"),
        ("mediafm_core.fusion", "fuse"),
    ],
)
def test_a_module_that_became_a_package_keeps_its_attributes(package: str, name: str):
    with pytest.warns(DeprecationWarning, match=rf"{package}.{name} is now"):
        found = getattr(importlib.import_module(package), name)
    assert found is getattr(importlib.import_module(PACKAGES[package]), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module(package).nothing  # noqa: B018


def test_an_old_command_runs():
    command = [sys.executable, "-W", "always", "-m", "mediafm_core.train", "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "mediafm_core.train is now mediafm_core.cli.train_worker" in ran.stderr
    assert "Usage" in ran.stdout
