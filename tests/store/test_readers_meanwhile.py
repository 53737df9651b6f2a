"""Readers in other processes while writers add, cut over, roll back, clean up and are killed."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from small_catalogue import MODEL, OTHER_MODEL, SmallCatalogue

import mediafm_core
from mediafm_core.store.features import publish
from mediafm_core.store.features.publication import published_versions
from mediafm_core.store.features.snapshot import read_snapshot
from mediafm_core.store.features.snapshot_writer import recorded_versions
from mediafm_core.vectors import to_numpy

TITLES = [f"title-{number}" for number in range(6)]
SHOTS = 20
KILLS = 4
WRITING_S = 1.2  # at most, from a writer's first step to its end

# Any client: a connection of its own for every query, one file, no retry.
_READER = """
import json, sys, time
import duckdb
features, answers = sys.argv[1:]
question = '''
    SELECT (SELECT list(model_version) FROM catalogue),
           (SELECT list(DISTINCT model_version) FROM clip_features),
           (SELECT list(DISTINCT model_version) FROM title_features),
           (SELECT sum(titles) FROM catalogue)::INTEGER, count(*), count(DISTINCT title_id),
           (SELECT count(embedding) FROM shots), sum(shots)::INTEGER
    FROM titles
'''
print("reading", flush=True)
with open(answers, "w") as file:
    while True:
        with duckdb.connect(features, read_only=True) as connection:
            file.write(json.dumps(connection.execute(question).fetchone()) + "\\n")
            file.flush()
        time.sleep(0.005)
"""

# Runs random operations, one after the other, until it is killed.
_WRITER = """
import random, sys
from pathlib import Path
from small_catalogue import MODEL, OTHER_MODEL, SmallCatalogue
from mediafm_core.store.features import clean, publish, publish_earlier_model, remove
from mediafm_core.store.features.snapshot import read_snapshot
small, titles, dice = SmallCatalogue(Path(sys.argv[1])), sys.argv[3:], random.Random(sys.argv[2])
small.store.sweep()
print("writing", flush=True)
while True:
    seen = read_snapshot(small.store).model
    other = MODEL if seen == OTHER_MODEL else OTHER_MODEL
    step, title = dice.choice("aaaaacrdk"), dice.choice(titles)
    if step == "a":
        small.write(title, seen, edition=dice.randrange(9))
        publish(small.store, seen, [title])
    elif step == "c":
        publish(small.store, other, titles)
    elif step == "r":
        publish_earlier_model(small.store, other)
    elif step == "d":
        remove(small.store, [title])
    else:
        clean(small.store, obsolete=(), grace_s=3.0)
"""


def test_every_answer_is_of_one_model_and_whole_if_any_process_is_killed(tmp_path: Path) -> None:
    small = SmallCatalogue(tmp_path / "store")
    for title_id in TITLES:
        small.write(title_id)
        small.write(title_id, OTHER_MODEL)
    small.publish(*TITLES)
    answers = tmp_path / "answers"
    moments = random.Random(4)
    reader = _start(_READER, small.store.features, answers, says="reading")
    for kill in range(KILLS):
        # Two writers at a time: they take turns, and one may hold the lock when it is killed.
        writers = [
            _start(_WRITER, small.root, f"{kill} {number}", *TITLES, says="writing")
            for number in range(1 + kill % 2)
        ]
        time.sleep(moments.uniform(0.05, WRITING_S))
        for writer in writers:
            assert writer.poll() is None, "the writer failed by itself"
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
    for _ in range(2):  # the state after the last of them is whole, and a cutover from it works
        _wait_for_answers(reader, answers, more=2)
        seen = read_snapshot(small.store)
        assert seen is not None
        publish(small.store, MODEL if seen.model == OTHER_MODEL else OTHER_MODEL, TITLES)
    _wait_for_answers(reader, answers, more=2)
    reader.send_signal(signal.SIGKILL)
    reader.communicate()

    found = [json.loads(line) for line in answers.read_text().splitlines()]
    for served, clips, titles, count, rows, distinct, vectors, shots in found:
        assert len(served) == 1
        assert (clips, titles) == (served, served)
        assert count == rows == distinct
        assert vectors == shots == SHOTS * count
    assert {served[0] for served, *_ in found} == {MODEL, OTHER_MODEL}

    seen = read_snapshot(small.store)
    assert seen is not None
    publish(small.store, seen.model, TITLES)
    assert published_versions(small.store, seen.model) == recorded_versions(
        small.store, seen.model, TITLES
    )
    for title_id in TITLES:
        query = "SELECT embedding FROM shots WHERE title_id = ? ORDER BY shot_index"
        shown = mediafm_core.sql(query, [title_id], store=small.root)
        computed = small.store.read("contextual_embeddings", title_id, seen.model)
        np.testing.assert_array_equal(to_numpy(shown["embedding"]), to_numpy(computed["embedding"]))


def _start(program: str, *arguments: object, says: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1] / "helpers",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"{says}\n"
    return process


def _wait_for_answers(reader: subprocess.Popen[str], answers: Path, more: int) -> None:
    """Wait until the reader has answered a few times after the last killed writer."""
    wanted = answers.read_text().count("\n") + more
    while answers.read_text().count("\n") < wanted:
        assert reader.poll() is None, "the reader was refused"
        time.sleep(0.01)
