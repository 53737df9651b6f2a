"""Evaluation of the catalogue's labelled clips with its existing models."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from labelled_catalogue import GENRES, LabelledCatalogue
from small_catalogue import FUSED, METADATA, SHOT_S, save_tiny_model

from mediafm_core.cli.main import main
from mediafm_core.config.settings import Settings
from mediafm_core.errors import MediaFMError, StoreError
from mediafm_core.evaluation import Catalogue, evaluate
from mediafm_core.evaluation.catalogue_units import read_catalogue
from mediafm_core.evaluation.seed_representations import SeedRepresentations
from mediafm_core.inference.loaded_title import TitleInContext
from mediafm_core.inference.streaming import embed_span_up_to
from mediafm_core.inference.whole_title import embed_alone
from mediafm_core.model.saved_model import load_model
from mediafm_core.model.stored_model import StoredModel
from mediafm_core.vectors import to_numpy

TITLES = ("alpha", "beta", "delta", "gamma")
CLIPS, LABELLED = 5, 4  # of a title


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LabelledCatalogue:
    catalogue = LabelledCatalogue(tmp_path_factory.mktemp("catalogue"))
    model = save_tiny_model(catalogue)
    for title_id in TITLES:
        catalogue.write(title_id, model)
    catalogue.publish(*TITLES, model=model)
    return catalogue


def settings(small: LabelledCatalogue) -> Settings:
    return Settings(store=small.root, device="cpu")


class TestUnits:
    def test_are_the_labelled_clips(self, small: LabelledCatalogue) -> None:
        units = read_catalogue(small.store, ["genre"])
        assert units.titles == list(TITLES)
        assert units.labels.task == "multiclass"
        assert set(units.labels.classes) == set(GENRES)
        assert len(units.title_of) == LABELLED * len(TITLES)
        assert units.ranges == {"video": (0, 12), "audio": (12, 20), "text": (20, 24)}
        title = units.read(1)
        assert title.fused.shape == (20, FUSED)
        assert title.metadata is not None
        assert title.metadata.shape == (METADATA,)
        assert title.spans[0].tolist() == [0, 4]

    def test_numbers_are_ranked(self, small: LabelledCatalogue) -> None:
        assert read_catalogue(small.store, ["rating"]).labels.task == "ranking"

    def test_spans_of_a_file(self, small: LabelledCatalogue, tmp_path: Path) -> None:
        path = tmp_path / "labels.csv"
        half = SHOT_S / 2
        path.write_text(
            f"title_id,start_s,end_s,good\nbeta,0,{SHOT_S},1\nalpha,{half},{3 * half},0\n"
        )
        units = read_catalogue(small.store, ["good"], labels_file=path)
        assert units.titles == ["alpha", "beta"]
        assert units.labels.values.tolist() == [False, True]
        title = units.read(0)
        assert title.spans.tolist() == [[0, 2]]
        np.testing.assert_allclose(
            title.pool(title.fused)[0], title.fused[:2].mean(axis=0), atol=1e-6
        )

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ("alpha,none,1", "1 clips that are not published .alpha none"),
            ("omega,proposed-0000,1", "omega proposed-0000"),
        ],
    )
    def test_labels_of_unknown_clips_and_titles(
        self, small: LabelledCatalogue, tmp_path: Path, rows: str, message: str
    ) -> None:
        path = tmp_path / "labels.csv"
        path.write_text(f"title_id,clip_id,good\nalpha,proposed-0000,0\n{rows}\n")
        with pytest.raises(MediaFMError, match=message):
            read_catalogue(small.store, ["good"], labels_file=path)

    def test_spans_of_an_unknown_title(self, small: LabelledCatalogue, tmp_path: Path) -> None:
        path = tmp_path / "labels.csv"
        path.write_text("title_id,start_s,end_s,good\nalpha,0,9,0\nomega,0,9,1\n")
        with pytest.raises(MediaFMError, match="1 titles that are not published, omega"):
            read_catalogue(small.store, ["good"], labels_file=path)

    def test_nothing_published(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="There is no store in"):
            read_catalogue(LabelledCatalogue(tmp_path).store, ["genre"])


class TestNetworkVectors:
    def test_equal_those_of_inference(self, small: LabelledCatalogue, tmp_path: Path) -> None:
        names = ("flat", "neighbours", "alone", "in_context", "prefix", "title")
        source = Catalogue()
        units = source.units(settings(small), ["genre"], None)
        fold_of = np.zeros(len(units.title_of), dtype=np.int64)
        representations = SeedRepresentations(
            settings(small), source, units, fold_of, 0, names, tmp_path, print
        )
        found = {name: representations.make(name).parts(0)[0] for name in names}
        (folder,) = small.store.models.glob("*@*")
        network = load_model(folder).network
        fused = to_numpy(small.store.read("fused_embeddings", "beta")["embedding"])
        metadata = to_numpy(small.store.read("title_metadata_embedding", "beta")["embedding"])[0]
        title = TitleInContext.read(network, fused, metadata, times_s=np.arange(21) * SHOT_S)
        clip = slice(8, 12)  # the third of the title, of four shots
        row = LABELLED + 2
        for name, expected in {
            "flat": fused[clip].mean(axis=0),
            "neighbours": np.concatenate([fused[7], fused[clip].mean(axis=0), fused[12]]),
            "in_context": title.shot_ranges([(8, 12)])[0],
            "title": title.title,
            "alone": embed_alone(network, fused[clip], metadata).shots.mean(axis=0),
            "prefix": embed_span_up_to(network, fused, 8, 12, metadata).mean(axis=0),
        }.items():
            np.testing.assert_allclose(found[name][row], expected, atol=1e-5, err_msg=name)

    def test_two_models_in_one_measurement(self, small: LabelledCatalogue) -> None:
        (folder,) = small.store.models.glob("*@*")
        digest = folder.name.rpartition("@")[2]
        report = evaluate(
            settings(small),
            Catalogue(models=(folder.name, digest[:8])),
            ["rating"],
            representations=["flat", "in_context"],
            folds=2,
            bootstrap=50,
        )
        assert report.model == {"trained": False, "models": [folder.name, folder.name]}
        (row,) = (
            row
            for row in report.evaluation.differences
            if (row.representation, row.baseline) == (f"in_context@{digest}", "in_context")
        )
        assert row.value == 0

    def test_of_a_model_before_its_training(self, small: LabelledCatalogue, tmp_path: Path) -> None:
        (folder,) = small.store.models.glob("*@*")
        records = {"started": {"started_from": "another"}, "seed": {"training": {"seed": 0}}}
        found = {}
        for name, changes in records.items():
            model = tmp_path / name / folder.name
            shutil.copytree(folder, model)
            path = model / "training.json"
            record = {**json.loads(path.read_bytes()), **changes}
            del record["digests"]
            path.write_text(json.dumps(record))
            report = evaluate(
                settings(small),
                Catalogue(models=(StoredModel(model),)),
                ["rating"],
                representations=["untrained", "in_context", "both_untrained", "inputs", "title"],
                folds=2,
                bootstrap=50,
            )
            found[name] = {row.representation: row for row in report.evaluation.results}
        # The weights of this model are drawn and never trained.
        assert found["seed"]["untrained"].value == found["seed"]["in_context"].value
        assert found["seed"]["both_untrained"].value is not None
        assert found["seed"]["inputs"].value == found["started"]["inputs"].value
        for name in ("untrained", "both_untrained"):
            assert found["started"][name].value is None
            assert "cannot be drawn again" in str(found["started"][name].why_not)

    def test_ablations_that_train_are_refused(self, small: LabelledCatalogue) -> None:
        with pytest.raises(MediaFMError, match="measured with its models as they are"):
            evaluate(
                settings(small),
                Catalogue(),
                ["genre"],
                representations=["in_context_window_8"],
                folds=2,
            )


def test_command(small: LabelledCatalogue) -> None:
    arguments = ["evaluate", "--store", str(small.root), "--label", "genre", "--folds", "2"]
    asked = ["--representations", "flat,in_context_zeroed_text", "--bootstrap", "20"]
    result = CliRunner().invoke(main, [*arguments, *asked])
    assert result.exit_code == 0, result.stderr
    assert "in_context_zeroed_text" in result.stdout
    assert "these titles are known" in result.stdout
