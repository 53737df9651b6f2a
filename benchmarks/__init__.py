"""Commands that measure the claims of the documentation: `python -m benchmarks.NAME`.

A command prints a table and, with `--json FILE`, writes the same figures to a file. It never
asserts on wall time.

`--small` runs a command without any other argument on inputs that it makes itself, in seconds, and
prints the same table and JSON. A command gives it by parsing its arguments with
`benchmarks.options.parse(parser, small)`, where `small` returns the command line of that setting:

    def small(inputs: SmallInputs) -> list[str]:
        return [str(inputs.film), "--times", "2"]

`tests/benchmarks/test_benchmarks.py` finds every module of this folder that is a command, runs it
with `--small` and fails where a command has no such setting. `--small FOLDER` keeps the inputs in
a folder, so that several commands share them.
"""
