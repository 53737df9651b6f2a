"""Stored models and their stored outputs, so that every numerical change is noticed.

    python tests/model/test_golden.py      # store other models and their outputs

Do that only together with a higher `MODEL_VERSION`, since every catalogue's vectors change too.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from mediafm_core.inference.streaming import embed_up_to
from mediafm_core.inference.whole_title import contextualise
from mediafm_core.model.saved_model import LoadedModel, load_model
from mediafm_core.vectors import unit_length

GOLDEN = Path(__file__).parent / "golden"
OUTPUTS = "outputs.npz"
KINDS = ("bidirectional", "two_directions")
WINDOW = 40
# Values are of size one. Another processor or another number of threads sums in another order,
# which stayed below 2e-6; a changed kernel, slope, norm or activation moves them by 1e-3 and more.
TOLERANCE = 1e-5
ULP = 2.0**-23  # relative: the last bit of a float32


@pytest.fixture(scope="module", params=KINDS)
def golden(request: pytest.FixtureRequest) -> Path:
    return GOLDEN / request.param


@pytest.fixture(scope="module")
def stored(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / OUTPUTS, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture
def model(golden: Path) -> LoadedModel:
    [folder] = golden.glob("mediafm-*")
    return load_model(folder)


def outputs(model: LoadedModel, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute all outputs, for a short title and one of several windows."""
    network = model.network
    short, long, metadata = given["short"], given["long"], given["metadata"]
    found = {}
    for name, fused in (("short", short), ("long", long)):
        result = contextualise(network, fused, metadata)
        found[f"{name} in context"], found[f"{name} title"] = result.shots, result.title
    found["up to now"] = embed_up_to(network, short, None, metadata, look_back=8)
    masked = torch.zeros(1, len(short), dtype=torch.bool)
    masked[0, [1, 7]] = True
    with torch.inference_mode():
        batch = (torch.from_numpy(short)[None], torch.from_numpy(metadata)[None])
        if network.two_directions is None:
            found["prediction"] = network(*batch, masked=masked).reconstruction[0].numpy()
        else:
            found["boundaries"] = network.boundaries(*batch)[0].numpy()
    return found


def test_outputs_equal_the_stored_ones(model: LoadedModel, stored: dict[str, np.ndarray]) -> None:
    found = outputs(model, stored)
    assert set(stored) == {*found, "short", "long", "metadata"}
    for name, values in found.items():
        np.testing.assert_allclose(values, stored[name], atol=TOLERANCE, rtol=0, err_msg=name)


@pytest.mark.parametrize("golden", ["two_directions"], indirect=True)
def test_a_changed_slope_changes_the_outputs(
    model: LoadedModel, stored: dict[str, np.ndarray]
) -> None:
    model.network.positions.slopes = [0.0 for _ in model.network.positions.slopes]
    found = outputs(model, stored)
    assert np.abs(found["short in context"] - stored["short in context"]).max() > 100 * TOLERANCE


def test_rounding_does_not_change_the_outputs(
    model: LoadedModel, stored: dict[str, np.ndarray]
) -> None:
    """Rounding repeats on one machine, so changed last bits of the inputs simulate another."""
    rng = np.random.default_rng(0)
    moved = {
        name: (array * (1 + ULP * rng.choice([-1, 1], array.shape))).astype(np.float32)
        for name, array in stored.items()
        if name in ("short", "long", "metadata")
    }
    for name, values in outputs(model, moved).items():
        np.testing.assert_allclose(values, stored[name], atol=TOLERANCE, rtol=0, err_msg=name)


def test_the_stored_outputs_equal_those_in_float64(
    model: LoadedModel, stored: dict[str, np.ndarray]
) -> None:
    network = model.network.double()
    short, metadata = (torch.from_numpy(stored[name]).double() for name in ("short", "metadata"))
    with torch.inference_mode():
        shots, title = network.contextual(short[None], metadata[None])
    np.testing.assert_allclose(stored["short in context"], shots[0], atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(stored["short title"], title[0], atol=TOLERANCE, rtol=0)


def store(attention: str) -> None:
    """Train a small model and store it with its outputs."""
    import shutil
    import tempfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    from mediafm_core.config.model_settings import ModelSettings
    from mediafm_core.config.training_settings import ObjectiveSettings, TrainingSettings
    from mediafm_core.fusion.space import FusedSpace
    from mediafm_core.model.training.training import train
    from mediafm_core.model.training.training_data import TitleSource, TrainingData
    from mediafm_core.vectors import to_arrow

    rng = np.random.default_rng(0)

    def title(shots: int, scene: int = 5) -> np.ndarray:
        scenes = np.repeat(rng.standard_normal((shots // scene + 1, 24)), scene, axis=0)[:shots]
        fused = scenes + 0.3 * rng.standard_normal((shots, 24))
        fused[::3, 20:] = 0  # no text
        return unit_length(fused).astype(np.float32)

    given = {
        "short": title(14),
        "long": title(400, scene=200),  # sums over a title grow, and their rounding with them
        "metadata": rng.standard_normal(6).astype(np.float32),
    }
    golden = GOLDEN / attention
    shutil.rmtree(golden, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.parquet"
        pq.write_table(pa.table({"embedding": to_arrow(given["long"])}), path)
        data = TrainingData(
            [TitleSource("long", path, "1", given["metadata"])],
            6,
            FusedSpace(
                {"video": "eyes-1@aa", "audio": "ears-1@bb", "text": "words-1@cc"},
                {"video": (0, 12), "audio": (12, 20), "text": (20, 24)},
            ),
        )
        result = train(
            data,
            ModelSettings(
                hidden=32,
                layers=2,
                feed_forward=64,
                max_shots=WINDOW,
                attention=attention,
                dropout=0.0,
            ),
            TrainingSettings(steps=40, crop_shots=32, weight_decay=0.01),
            golden,
            objective=ObjectiveSettings(boundary_weight=1.0),
        )
    np.savez(golden / OUTPUTS, **given, **outputs(load_model(result.folder), given))


if __name__ == "__main__":
    for kind in KINDS:
        store(kind)
