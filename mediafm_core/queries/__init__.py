"""Users' SQL queries, run in worker processes.

In: a query or a condition in DuckDB's SQL, and a store. Out: an Arrow table, or an error of one
sentence.

`allowlist` accepts only queries that read, with functions without side effects. `worker_pool` runs
them in `worker` processes with limits of memory and time; `framing` is the format on the pipes
between them. A worker that crashes or exceeds a limit does not affect the calling process.
"""
