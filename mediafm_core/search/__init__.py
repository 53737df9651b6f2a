"""Search over the clips of a catalogue: nearest clips by vector, and clips by text.

In: the published clips and their vectors, query vectors or a text. Out: ranked tables of clips, and
an HTML page with their keyframes.

clip_numbers, clip_vectors    clips of a snapshot by number, and their vectors
exact_search, clip_index      exact search, and approximate search with an HNSW index
filters, mmr, top_k           conditions in SQL, diversity, best candidates of each query
searcher                      searches that combine all of these
bm25, text_queries            keyword search, and queries in words by several methods
clip_keyframes, results_page  keyframes of clips, and the page of a search's results
"""
