"""Named files on disk or in S3, each written atomically.

In: a folder or `s3://bucket/prefix`, and prepared files. Out: `Files`, which reads, writes, lists
and locks them; those of S3 through a local cache.
"""
