"""Training sets: labels and the clip features of the serving version, joined, in Parquet.

    import mediafm_core as mediafm

    mediafm.export("genres.parquet", split={"train": 0.8, "test": 0.2})
    clips = mediafm.TrainingSet.open("genres.parquet")
    clips.split("train").torch("genre")        # for torch.utils.data.DataLoader
    clips.to_pandas(), clips.matrix()          # a row per clip, the vectors not copied

A set is of one model version and says which. Writing and reading stream: what is held in memory
does not grow with the vectors.
"""

from mediafm_core.training_sets.exporting import Exported, export
from mediafm_core.training_sets.footer import SetRecord
from mediafm_core.training_sets.training_set import TrainingSet

__all__ = ["Exported", "SetRecord", "TrainingSet", "export"]
