"""Vectors of all that a network is given about a unit and its neighbours, without a network.

A probe on them measures what can be had without training: leading components of each modality, the
novelty features that contextual vectors have (`NoveltyFeatures`), and the means of the components
of 1, 2, 4 and 8 neighbours on each side. Components, scales and novelty are fitted on the titles
outside the tested fold, which are those that the fold's network is trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from mediafm_core.disk.atomic import atomic_file
from mediafm_core.evaluation.units import TitleUnits, Units
from mediafm_core.identity import digest_of
from mediafm_core.vectors import unit_length

if TYPE_CHECKING:
    from mediafm_core.model.novelty import NoveltyFeatures, PrincipalBands

COMPONENTS = 24
"""Leading principal components that are taken of each modality, or as many as it is wide."""

REACHES = (1, 2, 4, 8)
"""Neighbours on each side whose mean is taken; each is twice the one before."""

_SAMPLE_SHOTS = 20_000  # that the components and scales are measured on


@dataclass(frozen=True)
class Components:
    """Leading principal components of vectors of unit length.

    Attributes:
        centre: `[d]` float32, mean of the vectors that they were fitted on.
        axes: `[d, c]` float32, orthonormal or zero, by falling variance.
    """

    centre: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Components":
        """Fit components to vectors `[n, d]`, at most `n`; rows of zeros are absent and ignored."""
        rows = unit_length(vectors[vectors.any(axis=1)]).astype(np.float64)
        centre = rows.mean(axis=0)
        axes = np.linalg.svd(rows - centre, full_matrices=False)[2][:COMPONENTS].T
        return cls(centre.astype(np.float32), axes.astype(np.float32))

    @classmethod
    def leading(cls, bands: "PrincipalBands") -> "Components":
        """Return the leading ones of the components that novelty features are computed from."""
        return cls(bands.centre.numpy(), bands.axes[:, :COMPONENTS].numpy())

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Compute the components `[n, c]` of vectors `[n, d]`; zeros, the mean, where absent."""
        present = vectors.any(axis=1, keepdims=True)
        components: np.ndarray = ((unit_length(vectors) - self.centre) @ self.axes) * present
        return components


@dataclass(frozen=True)
class FittedInputs:
    """Inputs with their components and scales.

    Attributes:
        ranges: Columns `[start, stop)` of each modality in the fused vectors.
        modalities: Components of each modality.
        metadata: Components of the titles' metadata; None where none of them has any.
        novelty: Novelty features.
    """

    ranges: Sequence[tuple[int, int]]
    modalities: Sequence[Components]
    metadata: Components | None
    novelty: "NoveltyFeatures"

    @classmethod
    def of(cls, titles: Sequence[TitleUnits], ranges: Sequence[tuple[int, int]]) -> "FittedInputs":
        """Fit components and scales to the shots of titles."""
        import torch

        from mediafm_core.model.novelty import NoveltyFeatures, PrincipalBands
        from mediafm_core.model.training.novelty_statistics import fit_novelty

        described = [
            title.metadata
            for title in titles
            if title.metadata is not None and title.metadata.any()
        ]
        novelty = NoveltyFeatures(ranges)
        fit_novelty(novelty, [torch.tensor(title.fused) for title in titles])
        return cls(
            ranges,
            [Components.leading(cast(PrincipalBands, bands)) for bands in novelty.modalities],
            Components.of(np.stack(described)) if described else None,
            novelty,
        )

    def blocks(self, title: TitleUnits) -> list[np.ndarray]:
        """Compute the blocks of a title's units, each `[k, w]`.

        They are components (with those of the metadata), novelty features and neighbour means.
        """
        import torch

        parts = [title.fused[:, slice(*columns)] for columns in self.ranges]
        components = [
            found(part) for found, part in zip(self.modalities, parts, strict=True)
        ]  # [s, c] each
        means = [
            neighbour_means(found, np.any(part, axis=1))
            for found, part in zip(components, parts, strict=True)
        ]
        with torch.no_grad():
            novelty = self.novelty(torch.tensor(title.fused)[None])[0].numpy()
        if self.metadata is not None:
            metadata = title.metadata
            width = len(self.metadata.centre)
            vector = np.zeros(width, np.float32) if metadata is None else metadata
            components.append(np.tile(self.metadata(vector[None]), (len(title.fused), 1)))
        blocks = (np.concatenate(components, axis=1), novelty, np.concatenate(means, axis=1))
        return [title.pool(block) for block in blocks]


def neighbour_means(vectors: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Compute the means of 1, 2, 4 and 8 neighbours before and after each shot.

    Args:
        vectors: `[s, c]`, zeros where a shot has none.
        present: `[s]` bool. Only neighbours that are present count.

    Returns:
        `[s, 8 c]` float32: before and after at each reach; zeros where no neighbour is present.
    """
    count, widest = len(vectors), REACHES[-1]
    # Row `i` is the sum of `reach` shots from shot `i - widest` on, added pair by pair.
    counted = np.column_stack([vectors, present]).astype(np.float32)
    sums = np.pad(counted, ((widest, widest), (0, 0)))
    means = []
    for reach in REACHES:
        if reach > 1:
            sums = sums[: -(reach // 2)] + sums[reach // 2 :]
        for first in (widest - reach, widest + 1):
            part = sums[first : first + count]
            means.append(part[:, :-1] / np.maximum(part[:, -1:], 1))
    return np.concatenate(means, axis=1)


@dataclass
class CompactInputs:
    """Inputs of a network as blocks of columns, fitted for each fold and kept in files.

    Attributes:
        name: Name of the representation.
        units: Units that it describes.
        fold_of: `[n]` int64, the fold that each unit is tested in.
        seed: Seed of the sample that the components and scales are measured on.
        folder: Folder of the files.
    """

    name: str
    units: Units
    fold_of: np.ndarray
    seed: int
    folder: Path

    def parts(self, fold: int) -> list[tuple[np.ndarray, ...]]:
        """Return one part of three blocks: components, novelty features, neighbour means."""
        paths = [self._path(fold, index) for index in range(3)]
        if not all(path.exists() for path in paths):
            self._write(fold, paths)
        return [tuple(np.load(path, mmap_mode="r") for path in paths)]

    def _write(self, fold: int, paths: Sequence[Path]) -> None:
        fitted = FittedInputs.of(self._sample(fold), sorted(self.units.ranges.values()))
        blocks: list[np.ndarray] = []
        for rows, title in self.units.each_title():
            found = fitted.blocks(title)
            if not blocks:
                count = len(self.units.title_of)
                blocks = [np.empty((count, each.shape[1]), np.float32) for each in found]
            for block, of_title in zip(blocks, found, strict=True):
                block[rows] = of_title
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, block in zip(paths, blocks, strict=True):
            with atomic_file(path) as prepared:
                np.save(prepared, block)

    def _sample(self, fold: int) -> list[TitleUnits]:
        """Read titles outside the fold, about `_SAMPLE_SHOTS` shots; all titles if they fit."""
        outside = np.unique(self.units.title_of[self.fold_of != fold])
        titles, shots = [], 0
        for index in np.random.default_rng(self.seed).permutation(outside).tolist():
            titles.append(self.units.read(index))
            shots += len(titles[-1].fused)
            if shots >= _SAMPLE_SHOTS:
                break
        return sorted(titles, key=lambda title: title.title_id)

    def _path(self, fold: int, block: int) -> Path:
        outside = np.unique(self.units.title_of[self.fold_of != fold])
        settings = str((self.seed, COMPONENTS, REACHES))
        key = digest_of(self.units.digest, outside.tobytes(), settings)
        return self.folder / f"inputs-{key}-{block}.npy"
