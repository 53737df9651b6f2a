"""Files of one machine: atomic replacement, locks, checksums (seals), cache folders.

In: bytes, JSON documents, Arrow tables. Out: files that are complete or absent, and an error when a
file is damaged.
"""
