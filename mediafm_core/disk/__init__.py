"""Files of one machine: replaced whole, locked, and sealed so that damage is noticed.

In: bytes, JSON documents, Arrow tables. Out: files that are complete or absent, and an error when a
file is not what was written.
"""
