"""Networks of folds: their training data, their reuse, and their vectors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from made_tables import HEARD, SEEN, TINY, WIDTHS, made_table, tiny_settings, written

from mediafm_core.config.presets import with_preset
from mediafm_core.evaluation.evaluation_sources import Table
from mediafm_core.evaluation.networks import FoldNetworks
from mediafm_core.evaluation.representations import network_request
from mediafm_core.evaluation.seed_representations import SeedRepresentations
from mediafm_core.inference.scenes import title_scenes
from mediafm_core.inference.streaming import embed_up_to
from mediafm_core.inference.whole_title import contextualise, embed_alone
from mediafm_core.vectors import to_arrow, to_numpy

TITLES, SHOTS = 4, 30
NAMES = (
    "alone",
    "in_context",
    "prefix",
    "title",
    f"in_context_zeroed_{SEEN}",
    f"in_context_trained_without_{SEEN}",
    "in_context_unnormalised",
    "in_context_window_8",
    "published",
    "untrained",
    "both",
    "scenes",
)
FOLD_OF = np.repeat([0, 1, 1, 0], SHOTS)  # title-00 and title-03 are tested in fold 0


@pytest.fixture
def representations(tmp_path: Path) -> Callable[..., SeedRepresentations]:
    """Return a function that makes representations of a table, kept in the folder `work`."""

    def make(
        table: pa.Table,
        log: Callable[[str], None] = print,
        seed: int = 0,
        work: str = "work",
        **sections: dict[str, object],
    ) -> SeedRepresentations:
        source = Table(written(table, tmp_path / "shots.parquet"), (SEEN, HEARD))
        changed = {name: {**TINY[name], **values} for name, values in sections.items()}
        settings = tiny_settings(**changed)
        units = source.units(settings, ["label"], None)
        return SeedRepresentations(
            settings, source, units, FOLD_OF, seed, NAMES, tmp_path / work, log
        )

    return make


def poisoned(table: pa.Table, *titles: str) -> pa.Table:
    """Replace all vectors of some titles by a constant."""
    chosen = pc.is_in(table["title"], pa.array(titles)).to_numpy()
    for name in (SEEN, HEARD):
        vectors = to_numpy(table[name].combine_chunks()).copy()
        vectors[chosen] = 1e3
        table = table.set_column(table.column_names.index(name), name, to_arrow(vectors))
    return table


def identities(representations: SeedRepresentations) -> list[str]:
    return [network["model"] for network in representations.models()]


class TestTraining:
    def test_never_reads_a_tested_title(
        self, representations: Callable[..., SeedRepresentations]
    ) -> None:
        table = made_table(titles=TITLES, shots=SHOTS)
        clean = identities(representations(table))
        tested_in_0 = poisoned(table, "title-00", "title-03")
        found = identities(
            representations(tested_in_0, work="another")
        )  # another folder reuses nothing
        assert found[0] == clean[0]
        assert found[1] != clean[1]

    def test_reads_no_label(self, representations: Callable[..., SeedRepresentations]) -> None:
        table = made_table(titles=TITLES, shots=SHOTS)
        other = pa.array(np.arange(table.num_rows) % 3 == 0)
        relabelled = table.set_column(table.column_names.index("label"), "label", other)
        assert identities(representations(relabelled, work="another")) == identities(
            representations(table)
        )

    def test_is_not_repeated(self, representations: Callable[..., SeedRepresentations]) -> None:
        table = made_table(titles=TITLES, shots=SHOTS)
        lines: list[str] = []
        first = identities(representations(table, lines.append))
        assert sum("training on 2 titles" in line for line in lines) == 2
        lines.clear()
        assert identities(representations(table, lines.append)) == first
        assert all("was trained before" in line for line in lines)
        assert set(identities(representations(table, seed=1))).isdisjoint(first)

    def test_models_name_the_tested_titles(
        self, representations: Callable[..., SeedRepresentations]
    ) -> None:
        networks = representations(made_table(titles=TITLES, shots=SHOTS)).models()
        assert [network["tested"] for network in networks] == [
            ["title-00", "title-03"],
            ["title-01", "title-02"],
        ]


def test_published_is_trained_with_the_preset_and_the_other_settings(
    tmp_path: Path,
) -> None:
    settings = tiny_settings()
    source = Table(written(made_table(titles=TITLES, shots=SHOTS), tmp_path / "t.parquet"), (SEEN,))
    units = source.units(settings, ["label"], None)
    variant, _ = network_request("published", units)
    networks = source.networks(settings, units, variant, FOLD_OF, 0, tmp_path, print, print)
    assert isinstance(networks, FoldNetworks)
    expected = with_preset(settings, "published")
    assert networks.settings == expected
    assert expected.training.steps == settings.training.steps
    assert expected.model.hidden == settings.model.hidden
    assert networks.network(0).boundary_head is None


class TestNetworkVectors:
    def test_equal_those_of_inference(
        self, representations: Callable[..., SeedRepresentations]
    ) -> None:
        made = representations(made_table(titles=TITLES, shots=SHOTS))
        network = made.networks.network(1)
        rows = slice(2 * SHOTS, 3 * SHOTS)
        fused = made.units.read(2).fused
        whole = contextualise(network, fused)
        expected = {
            "in_context": whole.shots,
            "title": np.tile(whole.title, (SHOTS, 1)),
            "alone": np.concatenate(
                [embed_alone(network, fused[shot : shot + 1]).shots for shot in range(SHOTS)]
            ),
            "prefix": embed_up_to(network, fused),
        }
        probability = title_scenes(network, fused).probability.clip(1e-4)
        expected["scenes"] = np.log(probability / (1 - probability))[:, None]
        zeroed = fused.copy()
        zeroed[:, : WIDTHS[SEEN]] = 0
        zeroed /= np.linalg.norm(zeroed, axis=1, keepdims=True)
        expected[f"in_context_zeroed_{SEEN}"] = contextualise(network, zeroed).shots
        for name, vectors in expected.items():
            (part,) = made.make(name).parts(1)
            assert part.dtype == np.float32
            np.testing.assert_allclose(part[rows], vectors, atol=1e-4, err_msg=name)

    def test_of_other_trainings_differ(
        self, representations: Callable[..., SeedRepresentations]
    ) -> None:
        made = representations(made_table(titles=TITLES, shots=SHOTS))
        (usual,) = made.make("in_context").parts(0)
        for name in NAMES[5:10]:
            (part,) = made.make(name).parts(0)
            assert len(part) == len(usual)
            same_width = part.shape == usual.shape  # without a modality vectors are narrower
            assert not (same_width and np.allclose(part, usual, atol=1e-3)), name

    def test_untrained_are_those_of_the_network_before_its_first_step(
        self, representations: Callable[..., SeedRepresentations]
    ) -> None:
        lines: list[str] = []
        made = representations(made_table(titles=TITLES, shots=SHOTS), lines.append)
        (before,) = made.make("untrained").parts(1)
        assert not lines
        (after,) = made.make("in_context").parts(1)
        assert not np.allclose(before, after, atol=1e-3)
        still = representations(
            made_table(titles=TITLES, shots=SHOTS),
            work="still",
            training={"muon_learning_rate": 1e-30, "adamw_learning_rate": 1e-30},
        )
        (unmoved,) = still.make("in_context").parts(1)
        np.testing.assert_allclose(before, unmoved, atol=1e-5)

    def test_composed_ones_have_a_block_for_each(
        self, representations: Callable[..., SeedRepresentations]
    ) -> None:
        made = representations(made_table(titles=TITLES, shots=SHOTS))
        (blocks,) = made.make("both").parts(0)
        (compact,) = made.make("compact").parts(0)
        assert len(blocks) == len(compact) + 1
        for one, other in zip(blocks, [*compact, *made.make("in_context").parts(0)], strict=True):
            np.testing.assert_array_equal(one, other)
        (inputs,) = made.make("inputs").parts(0)
        np.testing.assert_array_equal(inputs[0], made.make("flat").parts(0)[0])

    def test_units_without_label_give_context_only(
        self, representations: Callable[..., SeedRepresentations]
    ) -> None:
        table = made_table(titles=TITLES, shots=SHOTS)
        labels = np.where(np.arange(table.num_rows) % 2, table["label"].to_numpy(), None)
        place = table.column_names.index("label")
        half = representations(table.set_column(place, "label", pa.array(labels, pa.bool_())))
        (alone,) = half.make("alone").parts(0)
        (in_context,) = half.make("in_context").parts(0)
        assert not alone[::2].any()
        assert alone[1::2].any(axis=1).all()
        np.testing.assert_array_equal(
            in_context, representations(table).make("in_context").parts(0)[0]
        )
