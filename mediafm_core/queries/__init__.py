"""Queries of people in SQL: what they may contain, and the process that runs them.

`allowed` lets through queries that read, with functions of known effect. `processes` runs them in a
child process with limits, whose end is an error of one sentence and nothing else.
"""
