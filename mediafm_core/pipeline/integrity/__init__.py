"""Verification and repair of a store.

In: all files of a store. Out: the damaged files, and a store from which they are removed, or in
which they are computed again.

`stored_files` maps file names to their kind and compares a file with its digest; `verification`
compares all files; `repair` removes or corrects the damaged ones.
"""
