"""Old names of modules, kept for one version: each imports the new module and warns.

A module that has moved is found under its old name by a finder (`importlib.abc.MetaPathFinder`), so
`import mediafm_core.reader`, `python -m mediafm_core.train` and the `module:` of a `dagster.yaml`
go on working. Modules that became packages offer their old attributes by `renamed_attribute`.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from types import CodeType, ModuleType
from typing import Any

REMOVED_IN = "0.3"
"""The version that no longer has the old names."""

MODULES = {
    "mediafm_assets.compute_logs": "mediafm_assets.resources.compute_logs",
    "mediafm_assets.executor": "mediafm_assets.resources.executor",
    "mediafm_assets.instance": "mediafm_assets.resources.instance",
    "mediafm_assets.launcher": "mediafm_assets.resources.launcher",
    "mediafm_assets.run_limits": "mediafm_assets.resources.run_limits",
    "mediafm_assets.runner": "mediafm_assets.cli.runner",
    "mediafm_assets.ui_server": "mediafm_assets.ui.ui_server",
    "mediafm_core.alerts": "mediafm_assets.alerts.delivery",
    "mediafm_core.clips.in_context": "mediafm_core.inference.loaded_title",
    "mediafm_core.config_reference": "mediafm_core.config.reference",
    "mediafm_core.context": "mediafm_core.inference.whole_title",
    "mediafm_core.device": "mediafm_core.runtime.device",
    "mediafm_core.finder": "mediafm_core.api.clip_search",
    "mediafm_core.live": "mediafm_core.inference.streaming",
    "mediafm_core.model.checkpoint": "mediafm_core.model.saved_model",
    "mediafm_core.model.inference": "mediafm_core.inference.batching",
    "mediafm_core.progress": "mediafm_core.runtime.progress",
    "mediafm_core.reader": "mediafm_core.api.catalogue_reader",
    "mediafm_core.storage.location": "mediafm_core.config.location",
    "mediafm_core.store.artefacts": "mediafm_core.store.store",
    "mediafm_core.store.models": "mediafm_core.store.model_store",
    "mediafm_core.store.open": "mediafm_core.store.open_store",
    "mediafm_core.train": "mediafm_core.cli.train_worker",
    "mediafm_core.training_sets.reading": "mediafm_core.training_sets.training_set",
}
"""Old name of each moved module that users could have written, and the new one."""

PACKAGES = {
    "mediafm_assets.cli": "mediafm_assets.cli.commands",
    "mediafm_assets.resources": "mediafm_assets.resources.platform_resource",
    "mediafm_core.config": "mediafm_core.config.settings",
    "mediafm_core.fusion": "mediafm_core.fusion.concatenation",
}
"""Packages that were modules, and the module that has their old attributes."""


def renamed_attribute(package: str, name: str) -> Any:
    """Return what `package` offered as `name` when it was a module, with a `DeprecationWarning`.

    Raises:
        AttributeError: neither the package nor its module has the name.
    """
    module = PACKAGES[package]
    if name.startswith("__"):
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    try:
        found = getattr(importlib.import_module(module), name)
    except AttributeError:
        raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
    _warn(f"{package}.{name}", f"{module}.{name}", stacklevel=4)
    return found


class RenamedModuleFinder(importlib.abc.MetaPathFinder):
    """Finds modules by their old names."""

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Return a spec that loads the new module, or None for every other name."""
        name = MODULES.get(fullname)
        if name is None:
            return None
        _warn(fullname, name, stacklevel=3)
        loader = _RenamedModuleLoader(name)
        # The file's name is what a command shows as its own.
        origin = importlib.util.find_spec(name).origin  # type: ignore[union-attr]
        return importlib.machinery.ModuleSpec(fullname, loader, origin=origin)


class _RenamedModuleLoader(importlib.abc.Loader):
    """Loads the new module in place of the old one: both names are one object."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:  # noqa: ARG002
        self._module = importlib.import_module(self._name)
        self._spec = self._module.__spec__
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has set that of the old name

    def get_code(self, _: str) -> CodeType | None:
        """Return the code of the new module, for `python -m` with the old name."""
        loader = importlib.util.find_spec(self._name).loader  # type: ignore[union-attr]
        return loader.get_code(self._name)  # type: ignore[union-attr]


def find_renamed_modules() -> None:
    """Let old names of modules be imported, from now on in this process."""
    if not any(isinstance(finder, RenamedModuleFinder) for finder in sys.meta_path):
        sys.meta_path.append(RenamedModuleFinder())


def _warn(old: str, new: str, stacklevel: int) -> None:
    warnings.warn(
        f"{old} is now {new}: the old name goes with version {REMOVED_IN}.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )
