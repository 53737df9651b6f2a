"""Releases and rollbacks: records, refusals, and the state after a kill."""

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from damaged_models import DAMAGE
from hypothesis import given, settings
from hypothesis import strategies as st
from released_models import release
from trained_store import TrainedStore

from mediafm_core.errors import ConfigurationError, IdentityMismatchError, StoreError
from mediafm_core.pipeline.releases.release import login_name, rollback
from mediafm_core.pipeline.serving import (
    add_release,
    deciding,
    release_history,
    restored_by_rollback,
    serving_model,
)
from mediafm_core.pipeline.work import prepare
from mediafm_core.store.model_store import find_model
from mediafm_core.store.store import Store

OTHER_ENCODERS = {"video": "eyes-1@aa", "audio": "ears-1@bb", "text": "words-1@cc"}


def release_all(trained: TrainedStore) -> None:
    for model in trained.models:
        release(trained.platform(), model)


class TestRecord:
    def test_person_date_reason_and_the_model_before(self, trained_store: TrainedStore):
        first, second, _ = trained_store.models
        began = datetime.now(UTC) - timedelta(seconds=1)
        release(trained_store.platform(), first)
        made = release(trained_store.platform(), second, reason="better “names”", released_by="Åsa")
        assert made.is_new
        history = release_history(trained_store.store)
        assert history[-1] == made.release
        assert [each.model for each in history] == [first, second]
        assert (made.release.released_by, made.release.reason) == ("Åsa", "better “names”")
        assert made.release.previous == first
        assert began <= made.release.released_at <= datetime.now(UTC)
        assert serving_model(trained_store.store) == second

    def test_by_default_the_login_user_and_the_evidence(self, trained_store: TrainedStore):
        made = release(trained_store.platform(), trained_store.models[0]).release
        training = json.loads((trained_store.folder(made.model) / "training.json").read_bytes())
        assert made.released_by == login_name() != ""
        assert f"{training['curve'][-1]['validation_loss']:.4f} on same titles" in made.reason
        assert f"best baseline {min(training['baselines'].values()):.4f}" in made.reason

    def test_entries_are_added_and_never_changed(self, trained_store: TrainedStore):
        platform = trained_store.platform()
        histories = []
        for step in (*trained_store.models, None, None):
            release(platform, step) if step else rollback(platform, reason="worse")
            histories.append(release_history(trained_store.store))
        for shorter, longer in itertools.pairwise(histories):
            assert longer[: len(shorter)] == shorter
            assert len(longer) == len(shorter) + 1

    def test_the_serving_model_again_changes_nothing(self, trained_store: TrainedStore):
        release(trained_store.platform(), trained_store.models[0])
        before = trained_store.pointer
        again = release(trained_store.platform(), trained_store.models[0], reason="once more")
        assert not again.is_new
        assert again.release == release_history(trained_store.store)[-1]
        assert trained_store.pointer == before

    def test_a_file_of_before_the_history_is_read_and_kept(self, trained_store: TrainedStore):
        first, second, _ = trained_store.models
        old = {"model": first, "released_at": "2026-03-01T10:00:00+00:00"}
        (trained_store.root / "serving.json").write_text(json.dumps(old))
        release(trained_store.platform(), second)
        earlier = release_history(trained_store.store)[0]
        assert (earlier.model, earlier.released_by, earlier.previous) == (first, "", None)
        assert earlier.released_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
        assert rollback(trained_store.platform()).release.model == first

    @pytest.mark.parametrize(
        "content", [b"{", b"[]", b"{}", b'{"model": 3}', b'{"model": "m@1"}', b"\xff"]
    )
    def test_a_damaged_file_is_refused_and_left(self, trained_store: TrainedStore, content: bytes):
        (trained_store.root / "serving.json").write_bytes(content)
        with pytest.raises(StoreError, match=r"serving.json is damaged .*delete it and release"):
            release(trained_store.platform(), trained_store.models[0])
        assert trained_store.pointer == content

    def test_releases_at_the_same_time_are_all_recorded(self, tmp_path: Path):
        store = Store(tmp_path)

        def add(number: int) -> None:
            with deciding(store):
                add_release(store, release_history(store), f"m@{number}", "", "")

        threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {each.model for each in release_history(store)} == {f"m@{i}" for i in range(12)}


class TestNames:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        for name in ("mediafm-1@abcd1111", "mediafm-1@abcd2222", "mediafm-1@ffff3333"):
            (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / ".mediafm-1@eeee4444-123-abc").mkdir()  # being written
        return Store(tmp_path)

    @pytest.mark.parametrize(
        ("version", "name"),
        [
            ("mediafm-1@abcd1111", "mediafm-1@abcd1111"),
            ("abcd2222", "mediafm-1@abcd2222"),
            ("abcd2", "mediafm-1@abcd2222"),
            ("ffff", "mediafm-1@ffff3333"),
            ("mediafm-1@ffff", "mediafm-1@ffff3333"),
        ],
    )
    def test_a_beginning_that_only_one_has_is_enough(self, store: Store, version: str, name: str):
        assert find_model(store, version).name == name

    @pytest.mark.parametrize(
        ("version", "message"),
        [
            ("abcd", r"may be any of mediafm-1@abcd1111, mediafm-1@abcd2222"),
            ("ff", r"too short for mediafm-1@ffff3333"),
            (
                "0000",
                r"no model '0000' in .*, which has mediafm-1@ffff3333, .*mediafm-1@abcd1111",
            ),
            ("eeee4444", r"no model 'eeee4444'"),
            ("mediafm-7@ffff3333", r"no model 'mediafm-7@ffff3333'"),
            ("", r"No model is chosen in .*, which has mediafm-1@ffff3333"),
            ("../../etc@", r"no model"),
        ],
    )
    def test_others_are_refused(self, store: Store, version: str, message: str):
        with pytest.raises(ConfigurationError, match=message):
            find_model(store, version)

    def test_a_store_without_models_says_what_to_do(self, tmp_path: Path):
        with pytest.raises(ConfigurationError, match="which has none, so train one"):
            find_model(Store(tmp_path), "abcd")


class TestRefusals:
    @pytest.fixture
    def serving(self, trained_store: TrainedStore) -> TrainedStore:
        release(trained_store.platform(), trained_store.models[0])
        return trained_store

    @pytest.mark.parametrize("damage", DAMAGE)
    def test_a_damaged_candidate(self, serving: TrainedStore, damage: str):
        harm, message = DAMAGE[damage]
        before = serving.pointer
        harm(serving.folder(serving.models[1]))
        version = "0123456789abcdef" if damage == "another's name" else serving.models[1]
        with pytest.raises(ConfigurationError, match=message):
            release(serving.platform(), version)
        assert serving.pointer == before

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"encoder_identities": OTHER_ENCODERS}, "audio encoder ears-1@bb against whisper"),
            (
                {"fused_ranges": {"video": [0, 1280], "audio": [1280, 2000], "text": [2000, 2176]}},
                r"audio columns \(1280, 2000\) against \(1280, 1792\)",
            ),
            ({"global_size": 6}, "metadata vectors of width 6 against 384"),
        ],
    )
    def test_a_candidate_of_another_space(self, serving: TrainedStore, changes: dict, message: str):
        before = serving.pointer
        model = serving.with_another_configuration(**changes)
        with pytest.raises(IdentityMismatchError, match=f"encoders of the settings .*{message}"):
            release(serving.platform(), model)
        assert serving.pointer == before

    def test_a_candidate_of_other_vectors_than_those_in_the_store(self, serving: TrainedStore):
        before = serving.pointer
        serving.write_title("beta", encoders=OTHER_ENCODERS)
        with pytest.raises(IdentityMismatchError, match=r"vectors of beta .*`mediafm run --model"):
            release(serving.platform(), serving.models[1])
        assert serving.pointer == before

    def test_a_store_without_titles_takes_what_fits_the_settings(self, trained_store: TrainedStore):
        shutil.rmtree(trained_store.root / "fused_embeddings")
        release(trained_store.platform(), trained_store.models[0])
        other = trained_store.with_another_configuration(encoder_identities=OTHER_ENCODERS)
        with pytest.raises(IdentityMismatchError, match="encoders of the settings"):
            release(trained_store.platform(), other)

    @pytest.mark.parametrize("seam", ["fsync", "replace"])
    def test_a_full_disk(self, serving: TrainedStore, seam: str, monkeypatch: pytest.MonkeyPatch):
        def full(*_arguments: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        before = serving.pointer
        with monkeypatch.context() as patch:
            patch.setattr(os if seam == "fsync" else Path, seam, full)
            with pytest.raises(StoreError, match=r"cannot be written .*No space left.*make space"):
                release(serving.platform(), serving.models[1])
        assert serving.pointer == before
        assert list((serving.root / ".staging").iterdir()) == []


class TestSetting:
    def test_the_model_that_the_settings_name_is_released_with_that_reason(
        self, trained_store: TrainedStore, tmp_path: Path
    ):
        elsewhere = tmp_path / "from elsewhere"
        trained_store.folder(trained_store.models[1]).rename(elsewhere)
        platform = trained_store.platform(serving_model=elsewhere)
        for _ in range(2):
            prepare(platform)
        [made] = release_history(trained_store.store)
        assert made.model == trained_store.models[1]
        assert made.reason == f"setting serving_model: {elsewhere}"
        assert made.released_by == login_name()

    def test_it_is_refused_where_it_does_not_fit(self, trained_store: TrainedStore):
        release(trained_store.platform(), trained_store.models[0])
        before = trained_store.pointer
        other = trained_store.with_another_configuration(encoder_identities=OTHER_ENCODERS)
        with pytest.raises(IdentityMismatchError, match="encoders of the settings"):
            prepare(trained_store.platform(serving_model=trained_store.folder(other)))
        assert trained_store.pointer == before

    def test_it_may_come_before_the_titles_have_its_vectors(self, trained_store: TrainedStore):
        trained_store.write_title("beta", encoders=OTHER_ENCODERS)
        model = trained_store.models[0]
        prepare(trained_store.platform(serving_model=trained_store.folder(model)))
        assert serving_model(trained_store.store) == model

    def test_a_release_that_the_next_run_would_undo_is_refused(self, trained_store: TrainedStore):
        first, second, _ = trained_store.models
        release_all(trained_store)
        platform = trained_store.platform(serving_model=trained_store.folder(first))
        before = trained_store.pointer
        for undone in (lambda: release(platform, second), lambda: rollback(platform)):
            with pytest.raises(ConfigurationError, match=r"serving_model names .*unset it"):
                undone()
        assert trained_store.pointer == before
        assert release(platform, first).is_new


class TestRollback:
    def test_twice_goes_two_releases_back(self, trained_store: TrainedStore):
        release_all(trained_store)
        platform = trained_store.platform()
        first, second, third = trained_store.models
        made = rollback(platform, reason="worse names", released_by="Åsa").release
        assert (made.model, made.previous, made.reason) == (second, third, "worse names")
        assert made.restores == 1
        assert rollback(platform).release.model == first
        before = trained_store.pointer
        with pytest.raises(StoreError, match="no release before"):
            rollback(platform)
        assert trained_store.pointer == before

    def test_a_release_after_a_rollback_does_not_bring_back_what_was_rolled_back(
        self, trained_store: TrainedStore
    ):
        first, second, third = trained_store.models
        platform = trained_store.platform()
        release(platform, first)
        release(platform, second)
        rollback(platform)
        release(platform, third)
        assert rollback(platform).release.model == first

    def test_nothing_released(self, trained_store: TrainedStore):
        with pytest.raises(StoreError, match="No model is released"):
            rollback(trained_store.platform())
        assert trained_store.pointer == b""

    def test_a_model_that_is_gone(self, trained_store: TrainedStore):
        release_all(trained_store)
        before = trained_store.pointer
        shutil.rmtree(trained_store.folder(trained_store.models[1]))
        with pytest.raises(StoreError, match=f"{trained_store.models[1]}.* is gone"):
            rollback(trained_store.platform())
        assert trained_store.pointer == before

    def test_a_model_that_fits_no_longer(self, trained_store: TrainedStore):
        other = trained_store.with_another_configuration(encoder_identities=OTHER_ENCODERS)
        store = trained_store.store
        for model in (other, trained_store.models[0]):
            add_release(store, release_history(store), model, "", "")
        before = trained_store.pointer
        with pytest.raises(IdentityMismatchError, match="encoders of the settings"):
            rollback(trained_store.platform())
        assert trained_store.pointer == before

    @settings(max_examples=50)
    @given(st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=25))
    def test_it_undoes_releases_as_a_stack(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[int | None]
    ):
        store = Store(tmp_path_factory.mktemp("history"))
        expected: list[str] = []
        for step in steps:
            history = release_history(store)
            if step is not None:
                if not expected or expected[-1] != f"m@{step}":
                    expected.append(f"m@{step}")
                    add_release(store, history, f"m@{step}", "", "")
                continue
            place = restored_by_rollback(history)
            assert (place is None) == (len(expected) < 2)
            if place is not None:
                expected.pop()
                assert history[place].model == expected[-1]
                add_release(store, history, history[place].model, "", "", restores=place)
        assert serving_model(store) == (expected[-1] if expected else None)


KILLED = """
import os, signal, sys
from pathlib import Path
from mediafm_core.pipeline import serving
from mediafm_core.store.store import Store

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

replace = Path.replace
if sys.argv[2] == "before":
    os.fsync = die
else:
    Path.replace = lambda *arguments: (replace(*arguments), die())
store = Store(Path(sys.argv[1]))
with serving.deciding(store):
    serving.add_release(store, serving.release_history(store), "m@new", "", "")
"""


@pytest.mark.parametrize(("moment", "model"), [("before", "m@old"), ("after", "m@new")])
def test_a_killed_release_leaves_the_old_pointer_or_the_new(
    tmp_path: Path, moment: str, model: str
):
    store = Store(tmp_path)
    old = add_release(store, release_history(store), "m@old", "Åsa", "the first")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), moment], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert serving_model(store) == model
    assert release_history(store)[0] == old
    with deciding(store):  # the lock of the dead is free
        add_release(store, release_history(store), "m@next", "", "")
    store.sweep()
    assert list((tmp_path / ".staging").iterdir()) == []
