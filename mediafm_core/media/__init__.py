"""Media files and captions: decoding, probing, parsing.

In: a title's media file and caption files, untrusted. Out: video frames, sound and cues, each with
its time in seconds from the start of the title.

- Media: `container` opens a file safely, `probe` chooses its streams (`track_purposes`), `decoding`
  decodes them on one clock (`timeline`). Frames: `geometry`, `hdr`, `scaling`, `side_data`. Sound:
  `mono`, `soundtrack`. `damage` counts damaged frames.
- Captions: `srt`, `webvtt` and `substation` parse the formats (`cue_times`, `cue_text`),
  `subtitles` reads one file or track, `timed_text` chooses among them and assigns cues to shots.
"""
