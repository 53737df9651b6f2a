"""Clips of a title and their features.

In: `clips.csv` or the shots of a title; vectors per shot. Out: a table of clips, and one pooled
vector per clip.

`title_clips` reads or proposes clips, `spreadsheet` parses the CSV file, `pooling` computes the
weighted mean of the shot vectors, `vector_choice` names the vectors that a reader may choose.
"""
