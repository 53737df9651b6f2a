"""Parts of `benchmarks.fuzz`: mutations, kinds of input, workers, and the watch for opened files.

In: the sound inputs of `corpus`, which `mutations` and `structures` change. A kind (`title_kinds`,
`setting_kinds`, `stored_kinds`, `dagster_kinds`) draws an input and runs it through the platform.
Out: the outcome of each input, by the workers of `pool`.
"""
