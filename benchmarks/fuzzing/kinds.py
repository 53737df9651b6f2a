"""All kinds of input: how each is drawn and mutated, and what it then goes through."""

from benchmarks.fuzzing.dagster_kinds import dagster_kinds
from benchmarks.fuzzing.inputs import Kind
from benchmarks.fuzzing.setting_kinds import setting_kinds
from benchmarks.fuzzing.stored_kinds import stored_kinds
from benchmarks.fuzzing.title_kinds import title_kinds


def kinds() -> dict[str, Kind]:
    """Return all kinds by their names."""
    groups = (title_kinds(), setting_kinds(), stored_kinds(), dagster_kinds())
    return {kind.name: kind for group in groups for kind in group}
