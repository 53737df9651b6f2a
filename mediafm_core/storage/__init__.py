"""Named files on disk or in S3, each written atomically.

In: a folder or `s3://bucket/prefix`, and prepared files. Out: `Files`, which reads, writes, lists
and locks them; those of S3 through a local cache.

Modules:
    files: interface of every storage.
    local: files on a disk of this machine.
    open_files: choice of the storage for a location; a new storage is a module beside `s3`.
    s3, s3_client, s3_retries, s3_lease: objects in S3, requests, retries and locks.
    duckdb_s3_filesystem: `s3://` addresses in DuckDB, read from cached copies.
    cache: local copies of remote files.
"""
