"""Training sets: labels and the clip features of the serving version, joined, in Parquet.

    import mediafm_core as mediafm

    mediafm.export("genres.parquet", split={"train": 0.8, "test": 0.2})
    clips = mediafm.TrainingSet.open("genres.parquet")
    clips.split("train").torch("genre")        # for torch.utils.data.DataLoader
    clips.to_pandas(), clips.matrix()          # a row per clip, the vectors not copied

In: labels of clips or spans, the published features. Out: Parquet files of rows and vectors, read
as Arrow, pandas, numpy or torch. The vectors of a set are of one model version, which its record
names. Writing and reading stream, so that memory does not grow with the vectors.
"""

from mediafm_core.training_sets.exporting import Exported, export
from mediafm_core.training_sets.footer import SetRecord
from mediafm_core.training_sets.training_set import TrainingSet

__all__ = ["Exported", "SetRecord", "TrainingSet", "export"]
