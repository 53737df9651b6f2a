"""The progress of a run over titles follows from the reports of the pipeline."""

import pytest

from mediafm_core.model.training.progress_events import Phase, Progress, Started
from mediafm_core.pipeline.catalogue_progress import CatalogueProgress
from mediafm_core.pipeline.graph import FROM_MODEL, SPECS, UP_TO_FUSION
from mediafm_core.runtime.progress import WorkProgress

HOUR_S = 3600.0


class Followed:
    """Run with a clock that the test moves."""

    def __init__(self, *titles: str, trains: bool = False, **lengths_s: float) -> None:
        self.seconds = 0.0
        self.seen: list[WorkProgress] = []
        self.progress = CatalogueProgress(
            titles, self.seen.append, lengths_s.get, trains, now=lambda: self.seconds
        )

    @property
    def last(self) -> WorkProgress:
        return self.seen[-1]

    def compute(self, title: str, asset: str, seconds: float = 0.0) -> None:
        self.progress.report(title, asset, 0.0)
        self.seconds += seconds
        self.progress.report(title, asset, 1.0)


def test_the_share_grows_within_an_asset_that_is_named():
    run = Followed("film", film=2 * HOUR_S)
    run.compute("film", "title")
    before = run.last.share
    seen = []
    for share in (0.0, 0.0314, 0.25, 0.999):
        run.progress.report("film", "shots", share)
        seen.append(run.last)
    assert [each.doing for each in seen] == [
        "shots 0.0 % of film",
        "shots 3.1 % of film",
        "shots 25.0 % of film",
        "shots 99.9 % of film",
    ]
    shares = [each.share for each in seen]
    assert shares == sorted(shares)
    assert shares[0] == before
    assert shares[-1] - shares[0] > 0.5, "the decode is most of the work"
    assert {each.done for each in seen} == {1}


def test_all_assets_of_all_titles_are_the_whole():
    run = Followed("a", "b", a=60.0, b=HOUR_S)
    for asset in SPECS:
        for title in ("a", "b"):
            run.compute(title, asset, 1.0)
    whole = 2 * len(SPECS)
    assert (run.last.done, run.last.total, run.last.unit) == (whole, whole, "assets")
    assert run.last.share == 1.0
    assert run.last.seconds_left is None
    shares = [each.share or 0.0 for each in run.seen]
    assert shares == sorted(shares), "it never goes back, though lengths are learnt on the way"


def test_the_time_left_follows_from_what_was_computed():
    run = Followed("film", film=HOUR_S)
    run.compute("film", "title", 1.0)
    assert run.last.seconds_left is None, "too early"
    run.progress.report("film", "shots", 0.0)
    run.seconds += 299
    run.progress.report("film", "shots", 0.5)
    share = run.last.share
    assert 0.2 < share < 0.5
    assert run.last.seconds_left == pytest.approx(300 * (1 - share) / share, rel=0.01)
    assert "x real time" in run.last.rate


def test_assets_that_are_up_to_date_do_not_count_for_the_speed():
    run = Followed("a", "b", a=HOUR_S, b=HOUR_S)
    for asset in UP_TO_FUSION:
        run.progress.report("a", asset, 1.0)
    assert run.last.done == len(UP_TO_FUSION)
    assert run.last.seconds_left is None
    run.progress.report("b", "title", 1.0)
    run.progress.report("b", "shots", 0.0)
    run.seconds += 100
    run.progress.report("b", "shots", 0.1)
    assert run.last.seconds_left > 900


def test_a_training_shows_its_own_progress_and_gives_way_to_the_titles():
    run = Followed("film", trains=True, film=60.0)
    for asset in UP_TO_FUSION:
        run.compute("film", asset, 1.0)
    before = run.last
    run.progress.training(Phase("reading the catalogue"))
    assert "reading the catalogue" in run.last.doing
    run.progress.training(Started(0, 200, [], 1, 9, "cpu in float32", 1))
    assert (run.last.done, run.last.total, run.last.unit) == (0, 200, "steps")
    run.progress.training(Progress(50, 200, 0.5, 0.25, 100.0, 30.0))
    assert run.last.line() == (
        "training, loss 0.5000, validation 0.2500: 50 of 200 steps, 25 %, 100 shots/s, 0:00:30 left"
    )
    run.progress.training(Phase("validating", 0.5))
    assert run.last.doing == "training: validating 50 %, loss 0.5000, validation 0.2500"
    assert run.last.done == 50
    run.progress.report("film", FROM_MODEL[0], 0.0)
    assert run.last.unit == "assets"
    assert run.last.share > before.share


def test_a_title_that_is_given_up_is_finished_and_not_complete():
    run = Followed("good", "bad", good=60.0, bad=60.0)
    for asset in SPECS:
        run.compute("good", asset)
    for asset in reversed(SPECS):
        run.progress.report("bad", asset, 1.0)
    assert run.progress.complete == 1
    assert (run.last.done, run.last.share) == (2 * len(SPECS), 1.0)


def test_other_work_keeps_the_figures():
    run = Followed("film", film=60.0)
    run.compute("film", "title")
    run.progress.doing("publishing")
    assert (run.last.doing, run.last.done, run.last.total) == ("publishing", 1, len(SPECS))


def test_titles_of_another_run_are_not_counted():
    run = Followed("film")
    run.progress.report("other", "shots", 1.0)
    assert run.seen == []
