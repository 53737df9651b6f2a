"""Contact sheets and HTML pages of shots, keyframes and clips.

In: keyframes, tables of shots and clips, the results of a search. Out: JPEG and PNG pictures, one
HTML file.
"""
