"""Search over the clips of a catalogue: nearest clips, and clips by what is said or shown.

clips, vectors          which clips there are, and their vectors: streamed or held
exact, index            every clip compared, or candidates from an index
conditions, diversity   conditions in SQL, and clips that differ from each other
searcher                all of it in one call
words, text             queries in words
keyframes               the pictures of what was found
"""
