"""Rounding stays small: every way to compute a title's vectors gives those of float64.

On one machine rounding repeats, so that two float32 results can agree and both be wrong: float64 is
what everything is compared with, and inputs are moved by their own rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from mediafm_core.config.model_settings import ModelSettings
from mediafm_core.fusion.space import FusedSpace
from mediafm_core.inference.batching import TitleInput
from mediafm_core.inference.streaming import embed_up_to
from mediafm_core.inference.whole_title import (
    Contextual,
    contextualise,
    contextualise_titles,
    windows,
)
from mediafm_core.model.configuration import MediaFMConfig
from mediafm_core.model.network import MediaFM
from mediafm_core.model.novelty import NoveltyFeatures
from mediafm_core.model.training.input_statistics import fit_statistics
from mediafm_core.model.training.novelty_statistics import fit_novelty
from mediafm_core.vectors import unit_length

# Vectors are of size one. Any two computations in float32 differ by 1e-4 at most; 3e-6 was seen.
TOLERANCE = 5e-5
COSINE = 0.99999
# bfloat16 keeps 8 bits, 4e-3 of each number, over four layers; 0.99998 was seen.
BFLOAT16_COSINE = 0.9999
# For a feature in units of its deviation; 5e-6 was seen.
FEATURE_TOLERANCE = 5e-5
ULP = 2.0**-23  # relative: the last bit of a float32

RANGES = {"video": (0, 96), "audio": (96, 128), "text": (128, 152)}
LENGTHS = (1, 2, 30, 500, 3000)
SHAPE = ModelSettings(hidden=64, layers=3, heads=4, feed_forward=128, dropout=0)


def made_title(shots: int, seed: int = 0, scene: int = 60) -> np.ndarray:
    """Make a title of long scenes, whose sums grow; every third shot has no text."""
    rng = np.random.default_rng([seed, shots])
    scenes = np.repeat(rng.standard_normal((shots // scene + 1, 152)), scene, axis=0)[:shots]
    fused = scenes + 0.5 * rng.standard_normal((shots, 152))
    fused[::3, slice(*RANGES["text"])] = 0
    return unit_length(fused).astype(np.float32)


def fitted_network(
    shape: ModelSettings, titles: Sequence[np.ndarray], ranges: dict[str, tuple[int, int]]
) -> MediaFM:
    """Make a network with random weights, whose bands and scales are fitted to titles."""
    config = MediaFMConfig.from_settings(shape, titles[0].shape[1], 6, FusedSpace(ranges=ranges))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MediaFM(config).eval()
    fit_statistics(network, [torch.from_numpy(title) for title in titles])
    return network


@torch.inference_mode()
def in_float64(network: MediaFM, title: TitleInput) -> Contextual:
    """Compute a title's vectors in float64, window by window."""
    network = deepcopy(network).double()
    plan = windows(len(title.fused), network.config.max_shots)
    fused = torch.from_numpy(title.fused).double()
    metadata = torch.from_numpy(title.global_vector).double()
    shots = np.zeros((len(fused), network.config.context_size))
    whole = np.zeros(network.config.context_size)
    for start, weights in zip(plan.starts, plan.weights.astype(np.float64), strict=True):
        of_window = slice(start, start + len(weights))
        read, summary = network.contextual(fused[None, of_window], metadata[None])
        shots[of_window] += weights[:, None] * read[0].numpy()
        whole += weights.sum() / len(fused) * summary[0].numpy()
    return Contextual(shots, whole)


@dataclass
class Case:
    """A fitted network, titles, and their vectors in float64."""

    network: MediaFM
    titles: list[TitleInput]
    exact: list[Contextual]

    @classmethod
    def of(cls, network: MediaFM, titles: Sequence[np.ndarray]) -> "Case":
        rng = np.random.default_rng(0)
        given = [TitleInput(title, rng.standard_normal(6).astype(np.float32)) for title in titles]
        return cls(network, given, [in_float64(network, title) for title in given])


def ovsd_titles(folder: Path) -> list[np.ndarray]:
    """Read the films of Open Video Scene Detection, `[n, 512]` each."""
    table = pq.read_table(folder / "ovsd_shots.parquet", columns=["title", "vgg19"]).to_pandas()
    return [
        unit_length(np.stack(film.vgg19.to_numpy())).astype(np.float32)
        for _, film in table.groupby("title", sort=False)
    ]


@pytest.fixture(
    scope="module",
    params=[
        ("made", "two_directions"),
        ("ovsd", "two_directions"),
        ("made", "bidirectional"),
    ],
    ids="-".join,
)
def case(request: pytest.FixtureRequest) -> Case:
    data, attention = request.param
    reading = {"attention": attention}
    if data == "made":
        titles = [made_title(length) for length in LENGTHS]
        return Case.of(fitted_network(SHAPE.model_copy(update=reading), titles, RANGES), titles)
    films = ovsd_titles(request.getfixturevalue("shared_benchmark"))
    network = fitted_network(SHAPE.model_copy(update=reading), films, {"video": (0, 512)})
    together = np.concatenate(films)
    return Case.of(network, [*films, together[:1], together[7:9], together[:500], together[:3000]])


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_by_one(network: MediaFM, titles: Sequence[TitleInput]) -> list[Contextual]:
    return [contextualise(network, title.fused, title.global_vector) for title in titles]


def in_batches(network: MediaFM, titles: Sequence[TitleInput]) -> list[Contextual]:
    """Compute titles in batches: short ones are padded to the longest."""
    return list(contextualise_titles(network, titles))


def shuffled(network: MediaFM, titles: Sequence[TitleInput]) -> list[Contextual]:
    """Compute titles in another order, so that each is batched with other titles."""
    order = np.random.default_rng(1).permutation(len(titles))
    read = contextualise_titles(network, [titles[i] for i in order], batch_shots=1300)
    by_place = dict(zip(order.tolist(), read, strict=True))
    return [by_place[i] for i in range(len(titles))]


def on_two_threads(network: MediaFM, titles: Sequence[TitleInput]) -> list[Contextual]:
    with threads(2):
        return one_by_one(network, titles)


def on_a_gpu(network: MediaFM, titles: Sequence[TitleInput]) -> list[Contextual]:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU: run this test on a machine with one")
    return in_batches(deepcopy(network).cuda(), titles)


def moved_by_rounding(network: MediaFM, titles: Sequence[TitleInput]) -> list[Contextual]:
    """Change the last bit of every number of the inputs, as another machine may."""
    rng = np.random.default_rng(2)
    moved = [
        title._replace(
            fused=title.fused * (1 + ULP * rng.choice([-1, 1], title.fused.shape)).astype("f4")
        )
        for title in titles
    ]
    return one_by_one(network, moved)


@pytest.mark.parametrize(
    "compute",
    [one_by_one, in_batches, shuffled, on_two_threads, on_a_gpu, moved_by_rounding],
)
def test_vectors_are_those_of_float64(
    case: Case, compute: Callable[[MediaFM, Sequence[TitleInput]], list[Contextual]]
) -> None:
    for found, exact in zip(compute(case.network, case.titles), case.exact, strict=True):
        assert cosines(found, exact).min() > COSINE
        np.testing.assert_allclose(found.shots, exact.shots, atol=TOLERANCE, rtol=0)
        np.testing.assert_allclose(found.title, exact.title, atol=TOLERANCE, rtol=0)


def test_bfloat16_gives_nearly_the_vectors_of_float64(case: Case) -> None:
    found = contextualise_titles(case.network, case.titles, precision="bfloat16")
    for each, exact in zip(found, case.exact, strict=True):
        assert cosines(each, exact).min() > BFLOAT16_COSINE


def cosines(found: Contextual, exact: Contextual) -> np.ndarray:
    """Compute the cosines of the title's vector and of each shot's."""
    left, right = (
        unit_length(np.concatenate([each.title[None], each.shots]).astype(np.float64))
        for each in (found, exact)
    )
    return (left * right).sum(axis=1)


@torch.inference_mode()
def test_vectors_up_to_now_are_those_of_float64(case: Case) -> None:
    """Compare the last shot's vector of windows that end with each shot."""
    title, exact_network = case.titles[-2], deepcopy(case.network).double()
    ends, look_back = [1, 2, 9, 100, 500], 64
    found = embed_up_to(case.network, title.fused, ends, title.global_vector, look_back=look_back)
    metadata = torch.from_numpy(title.global_vector).double()
    for vector, end in zip(found, ends, strict=True):
        window = torch.from_numpy(title.fused[max(0, end - look_back) : end]).double()
        exact = exact_network.contextual(window[None], metadata[None])[0][0, -1].numpy()
        np.testing.assert_allclose(vector, exact, atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_every_input_is_that_of_float64(case: Case) -> None:
    """Compare each input by itself, or what enters the first layer of the published network."""
    network, exact_network = case.network, deepcopy(case.network).double()
    for title in case.titles:
        fused = torch.from_numpy(title.fused)[None]
        metadata = torch.from_numpy(title.global_vector)[None]
        if not network.config.reads_two_directions:
            fused = fused[:, : network.config.max_shots]
            found = network.hidden_states(fused, metadata, layers=0)[0].double()
            exact = exact_network.hidden_states(fused.double(), metadata.double(), layers=0)[0]
            torch.testing.assert_close(found, exact, atol=1e-5, rtol=0)
            continue
        for part in ("structure", "two_directions.input"):
            found = network.get_submodule(part)(fused).double()
            exact = exact_network.get_submodule(part)(fused.double())
            error = (found - exact).abs()[0].amax(dim=0)
            assert error.max() < FEATURE_TOLERANCE, (part, int(error.argmax()))


def still(shots: int, spread: float, seed: int = 0) -> torch.Tensor:
    """Make a title that repeats one shot with a little noise."""
    rng = np.random.default_rng(seed)
    shot = np.random.default_rng(7).standard_normal(152)
    return torch.from_numpy(
        unit_length(shot + spread * rng.standard_normal((shots, 152))).astype(np.float32)
    )


@torch.inference_mode()
@pytest.mark.parametrize("spread", [0, 1e-7, 1e-6, 1e-4, 1e-2, 0.1])
@pytest.mark.parametrize("fitted_on", ["the same", "one shot", "others"])
def test_titles_of_almost_equal_shots_are_no_noise(spread: float, fitted_on: str) -> None:
    """Worst case: differences between shots are rounding, or little more.

    A shot then changes by 1e-7 in a band where a hundredth counts as a whole vector, and a feature
    is divided by a hundredth: 2e-3 could be reached.
    """
    title = still(400, spread)
    novelty = NoveltyFeatures(list(RANGES.values()))
    fit_novelty(
        novelty,
        {
            "the same": [title, still(300, spread, 1)],
            "one shot": [title[:1]],
            "others": [torch.from_numpy(made_title(300))],
        }[fitted_on],
    )
    found = novelty(title[None])
    generator = torch.Generator().manual_seed(0)
    moved = title * (1 + ULP * torch.randn(title.shape, generator=generator).sign())
    assert (novelty(moved[None]) - found).abs().max() < 2e-3
    exact = deepcopy(novelty).double()(title[None].double())
    assert (found - exact).abs().max() < 2e-3


@torch.inference_mode()
def test_a_feature_does_not_depend_on_where_a_shot_stands(case: Case) -> None:
    novelty, fused = case.network.structure, torch.from_numpy(case.titles[-1].fused)
    if novelty is None:
        pytest.skip("the published network has no novelty features")
    whole = novelty(fused[None])[0]
    for start, stop in ((5, 60), (1490, 1530), (2940, 2999)):
        part = novelty(fused[None, start:stop])[0]
        inner = slice(8, stop - start - 8)  # shots with all neighbours
        torch.testing.assert_close(part[inner], whole[start:stop][inner], atol=1e-5, rtol=0)
