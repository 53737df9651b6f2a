"""A SubRip file with markup and an empty cue, and the cues that are read from it."""

from mediafm_core.media.subtitles import Cue

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Où est-ce ?</i> {\\an8}[wind howling]
Là-bas.

2
00:00:03,000 --> 00:00:04,000
<font color="#ff0000"> </font>

3
00:00:05,000 --> 00:00:06,000
Room
101
"""
SRT_CUES = [
    Cue(1.0, 2.5, "Où est-ce ? [wind howling] Là-bas."),
    Cue(5.0, 6.0, "Room 101"),
]
