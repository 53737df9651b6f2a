"""Titles: the inbox, title folders and the small files in them.

In: the inbox, a folder or an S3 prefix. Out: a validated `Title` with its manifest, media file and
side files, and digests of its contents.

`inbox` lists title folders (`title_folder`), `read_title` validates one by the ingestion contract,
`manifest` reads `title.json`, `title_file` is an open file of a title, `content_digests` hashes the
contents. `caption_names` parses names of caption files. `text_file` decodes text files with
`encoding_detection` and `writing_systems`; `language` normalises language tags.
"""
