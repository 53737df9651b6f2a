"""Automation condition that materialises what a changed version affects.

It fires on edges: when a dependency or the code has another version than before. New titles are
left to the inbox sensor, and changes that an edge misses to the sweep: the daemon was down, its
cursor was lost, a run failed.
"""

import dagster as dg

Condition = dg.AutomationCondition

_CHANGED: dg.AutomationCondition = Condition.any_deps_updated() | Condition.code_version_changed()

REFRESH_ON_CHANGE = (
    _CHANGED.since_last_handled()
    & ~Condition.missing()
    & ~Condition.any_deps_missing()
    & ~Condition.any_deps_in_progress()
    & ~Condition.in_progress()
).with_label("refresh_on_change")
