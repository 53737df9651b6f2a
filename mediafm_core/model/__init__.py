"""The MediaFM network: its shape, its weights on disk, and its training in `model/training`.

In: fused vectors and the metadata vector of a title, and the settings of the network's shape. Out:
the network (`network`), and trained models as folders
(`saved_model`). `bounds`, `model_files` and `configuration` import no torch.
"""
