"""Store of one catalogue: artefacts of titles, trained models, and the features that readers see.

In: artefacts with their records; model folders. Out: files on disk or in S3 that are complete or
absent, and versioned (`store`, `records`, `version_index`, `model_store`); `features` has the
tables that readers open.
"""
