"""Verification and repair of a store.

In: every file of a store. Out: the damaged files, and a store from which they are removed or made
again.
"""
