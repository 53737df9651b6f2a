"""Text search by words, meaning and pictures, and the combination of their scores."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clips_with_vectors import names
from small_catalogue import SmallCatalogue
from small_checkpoints import save_clip
from spoken_titles import TEXTS

import mediafm_core
from mediafm_core.config.settings import load_settings
from mediafm_core.encoders.profiles import video_encoder
from mediafm_core.errors import ConfigurationError, MediaFMError
from mediafm_core.store.records import ArtefactRecord
from mediafm_core.vectors import to_arrow, unit_length

DOGS, DINNER = ("kennel", "proposed-0000"), ("kennel", "proposed-0001")
PRICES, CAFE = ("market", "proposed-0000"), ("market", "proposed-0001")


@pytest.mark.parametrize(
    ("query", "clip"),
    [("DOG", DOGS), ("cafe", CAFE), ("fermé", CAFE), ("prices, PRICES!", PRICES)],
)
def test_words_are_found_without_case_and_accents(
    spoken: SmallCatalogue, query: str, clip: tuple[str, str]
) -> None:
    found = mediafm_core.search_text(query, methods=["words"], store=spoken.root)
    assert names(found) == [clip]
    assert found["words"][0].as_py() > 0
    assert found["score"].equals(found["words"])


def test_words_are_weighted_as_bm25_says(spoken: SmallCatalogue) -> None:
    """`dinner` occurs in one clip, `the` in two (twice in one of them), `unicorn` in none."""
    query = "dinner, the unicorn"
    found = mediafm_core.search_text(query, methods=["words"], store=spoken.root)
    lengths = {DOGS: 6 + 4, DINNER: 6 + 4, PRICES: 5 + 6, CAFE: 5 + 7}
    average = sum(lengths.values()) / 4
    rarity = {count: math.log(1 + (4 - count + 0.5) / (count + 0.5)) for count in range(3)}

    def weight(times: int, clips: int, clip: tuple[str, str]) -> float:
        share = rarity[clips] / sum(rarity.values())
        return share * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * lengths[clip] / average))

    assert names(found) == [DINNER, DOGS, PRICES]
    expected = [weight(1, 1, DINNER), weight(2, 2, DOGS), weight(1, 2, PRICES)]
    np.testing.assert_allclose(found["words"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("query", "clip"),
    [("a puppy", DOGS), ("cooking a meal", DINNER), ("the stock market crashes", PRICES)],
)
def test_meaning_needs_no_word_in_common(
    spoken: SmallCatalogue, query: str, clip: tuple[str, str]
) -> None:
    found = mediafm_core.search_text(query, methods=["meaning"], store=spoken.root)
    assert names(found)[0] == clip
    assert set(names(found)) == {DOGS, DINNER, PRICES, CAFE}
    meaning = found["meaning"].to_numpy()
    assert (np.diff(meaning) <= 0).all()
    assert meaning[0] > 0.25


def test_meaning_is_the_score_of_the_best_shot(spoken: SmallCatalogue) -> None:
    found = mediafm_core.search_text(str(TEXTS["kennel"][2]), k=1, store=spoken.root)
    assert names(found) == [DOGS]
    assert found["meaning"][0].as_py() == pytest.approx(1.0, abs=1e-5)


def test_scores_of_methods_are_added(spoken: SmallCatalogue) -> None:
    found = mediafm_core.search_text("the dollar", k=100, store=spoken.root)
    assert found.column_names == [
        *("rank", "title_id", "clip_id", "start_s", "end_s", "proposed"),
        *("score", "words", "meaning"),
    ]
    words = np.nan_to_num(found["words"].to_numpy())
    meaning = found["meaning"].to_numpy()
    above = (meaning - meaning.mean()) / (meaning.max() - meaning.mean())
    np.testing.assert_allclose(found["score"], words + above, atol=1e-5)
    assert found["words"].null_count == 2
    assert names(found)[0] == PRICES


def test_a_common_word_does_not_outrank_the_meaning(spoken: SmallCatalogue) -> None:
    """Only `the` occurs, in a clip about something else."""
    found = mediafm_core.search_text("the recipe", k=1, store=spoken.root)
    assert names(found) == [DINNER]
    words = mediafm_core.search_text("the recipe", methods=["words"], store=spoken.root)
    assert DINNER not in names(words)
    assert words.num_rows


def test_conditions_and_limits(spoken: SmallCatalogue) -> None:
    options = {"where": "title_id <> 'market'", "store": spoken.root}
    assert set(names(mediafm_core.search_text("money", **options))) == {DOGS, DINNER}
    one_each = mediafm_core.search_text("money", per_title=1, store=spoken.root)
    assert one_each["title_id"].to_pylist() == ["market", "kennel"]
    diverse = mediafm_core.search_text("money", diversity=0.5, k=3, store=spoken.root)
    assert diverse["rank"].to_pylist() == [1, 2, 3]
    assert names(diverse)[0] == names(mediafm_core.search_text("money", store=spoken.root))[0]
    none = mediafm_core.search_text("money", where="false", store=spoken.root)
    assert (none.num_rows, "score" in none.column_names) == (0, True)
    assert (
        mediafm_core.search_text("money", where="title_id = 'silent'", store=spoken.root).num_rows
        == 0
    )


def test_vectors_of_another_encoder_are_not_compared(
    spoken_copy: SmallCatalogue, caplog: pytest.LogCaptureFixture
) -> None:
    store = spoken_copy.store
    record = store.record("text_embeddings", "kennel")
    assert record is not None
    table = store.read("text_embeddings", "kennel")
    store.write(record.model_copy(update={"identity": "another-1@0"}), table)
    found = mediafm_core.search_text("the dog", store=spoken_copy.root)
    by_name = dict(zip(names(found), found["meaning"].to_pylist(), strict=True))
    assert by_name[DOGS] is None
    assert by_name[PRICES] is not None
    assert "1 of 3 titles lack text vectors" in caplog.text
    assert "kennel" in caplog.text


def test_texts_find_their_vectors_where_shots_have_moved(spoken_copy: SmallCatalogue) -> None:
    """The vectors are of a title's new shots, and its old shots are still published."""
    store = spoken_copy.store
    before = mediafm_core.search_text("a puppy", methods=["meaning"], store=spoken_copy.root)
    table, record = (
        store.read("text_embeddings", "kennel"),
        store.record("text_embeddings", "kennel"),
    )
    assert record is not None
    turned = table.take(list(range(table.num_rows))[::-1])
    store.write(record, turned.set_column(1, "shot_index", table["shot_index"]))
    after = mediafm_core.search_text("a puppy", methods=["meaning"], store=spoken_copy.root)
    assert after.equals(before)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("  ", {}, "is blank"),
        (
            "x",
            {"methods": ["sound"]},
            "'sound' is no search method: choose from words, meaning, picture",
        ),
        ("x", {"methods": []}, "Nothing is no search method"),
        ("x", {"where": "nam = 1"}, "condition 'nam = 1' cannot be used"),
    ],
)
def test_unusable_queries(spoken: SmallCatalogue, text: str, options: dict, message: str) -> None:
    with pytest.raises(MediaFMError, match=message):
        mediafm_core.search_text(text, **options, store=spoken.root)


def test_the_old_name_of_methods_works_with_a_warning(spoken: SmallCatalogue) -> None:
    expected = mediafm_core.search_text("dog", methods=["words"], store=spoken.root)
    with pytest.warns(DeprecationWarning, match=r"search_text\(methods=...\)"):
        found = mediafm_core.search_text("dog", ways=["words"], store=spoken.root)
    assert found.equals(expected)


def test_pictures_need_a_video_encoder_of_texts(spoken: SmallCatalogue) -> None:
    with pytest.raises(ConfigurationError, match=r"`video.name` to open_clip"):
        mediafm_core.search_text("a dog", methods=["picture"], store=spoken.root)


class TestPictures:
    @pytest.fixture
    def pictured(
        self,
        spoken_copy: SmallCatalogue,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> SmallCatalogue:
        """Return video vectors of CLIP, of which `silent`'s sixth shot equals `a red dog`."""
        monkeypatch.setenv("MEDIAFM_VIDEO__NAME", "open_clip")
        monkeypatch.setenv("MEDIAFM_VIDEO__MODEL", str(save_clip(tmp_path / "clip")))
        encoder = video_encoder(load_settings())
        meant = unit_length(encoder.encode_texts(["a red dog"]))
        for number, title_id in enumerate(TEXTS):
            vectors = unit_length(np.random.default_rng(number).normal(size=(8, meant.shape[1])))
            if title_id == "silent":
                vectors[5] = meant
            table = spoken_copy.store.read("text_embeddings", title_id)
            columns = {name: table[name] for name in ("title_id", "shot_index", "input_digest")}
            columns |= {"present": pa.array([True] * 8), "embedding": to_arrow(vectors)}
            record = ArtefactRecord(
                asset="video_embeddings",
                title_id=title_id,
                data_version="1",
                identity=str(encoder.identity),
            )
            spoken_copy.store.write(record, pa.table(columns))
        return spoken_copy

    def test_a_text_finds_the_matching_picture(self, pictured: SmallCatalogue) -> None:
        found = mediafm_core.search_text("a red dog", methods=["picture"], store=pictured.root)
        assert names(found)[0] == ("silent", "proposed-0001")
        assert found["picture"][0].as_py() == pytest.approx(1.0, abs=1e-4)
        assert found.num_rows == 6

    def test_is_one_of_the_methods_by_default(self, pictured: SmallCatalogue) -> None:
        found = mediafm_core.search_text("a red dog", store=pictured.root)
        assert found.column_names[-3:] == ["words", "meaning", "picture"]
        assert {DOGS, ("silent", "proposed-0001")} <= set(names(found)[:3])
        assert found["meaning"].null_count == 2

    def test_a_title_with_other_shots_is_left_out(
        self, pictured: SmallCatalogue, caplog: pytest.LogCaptureFixture
    ) -> None:
        table, record = (
            pictured.store.read("shots", "silent"),
            pictured.store.record("shots", "silent"),
        )
        assert record is not None
        moved = pa.array(table["start_s"].to_numpy() + 0.5)
        place = table.column_names.index("start_s")
        pictured.store.write(record, table.set_column(place, "start_s", moved))
        found = mediafm_core.search_text("a red dog", methods=["picture"], store=pictured.root)
        assert "silent" not in found["title_id"].to_pylist()
        assert "1 of 3 titles lack video vectors" in caplog.text

    def test_a_text_is_not_cut_off(self, pictured: SmallCatalogue) -> None:
        with pytest.raises(MediaFMError, match=r"more than the 8 tokens that open_clip takes"):
            mediafm_core.search_text("one two three four five six seven eight", store=pictured.root)
