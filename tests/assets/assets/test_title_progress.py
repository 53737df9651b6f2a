"""Log lines of a step over titles, with a clock that the test sets."""

from mediafm_assets.assets.title_events import MANY
from mediafm_assets.assets.title_progress import TitleProgress
from mediafm_core.pipeline.materialise import Outcome
from mediafm_core.runtime.progress import ProgressLines


class Step:
    """A step over titles of these lengths."""

    def __init__(self, **lengths: float) -> None:
        self.seconds = 0.0
        self.logged: list[str] = []
        lines = ProgressLines(self.logged.append, now=lambda: self.seconds)
        self.progress = TitleProgress(
            self.logged.append, lines, "shots", lengths, now=lambda: self.seconds
        )

    def report(self, title: str, share: float, seconds: float = 0.0) -> None:
        self.seconds += seconds
        self.progress.report(title, "shots", share)

    def settle(self, title: str, seconds: float = 0.0) -> None:
        self.seconds += seconds
        self.progress.report(title, "shots", 1.0)
        self.progress.add([Outcome("shots", title, "computed")])


def test_lines_have_the_share_of_the_title_counts_rate_and_time_left():
    step = Step(film=3000.0, trailer=1000.0)
    step.report("film", 0.0)
    step.report("film", 0.2, seconds=60)
    step.settle("film", seconds=240)
    step.report("trailer", 0.6, seconds=60)
    assert step.logged == [
        "shots 0.0 % of film: 0 of 2 titles, 0 %",
        "shots 20.0 % of film: 0 of 2 titles, 15 %, 18.0 titles/h, 0:05:40 left",
        "film: shots computed",
        "shots 60.0 % of trailer: 1 of 2 titles, 90 %, 18.0 titles/h, 0:00:40 left",
    ]


def test_many_titles_are_counted_and_not_listed():
    step = Step(**{f"t{number}": 1.0 for number in range(MANY + 10)})
    titles = MANY + 10
    for number in range(titles):
        step.settle(f"t{number}", seconds=1)
    counts = [int(line.split()[1]) for line in step.logged if line.startswith("shots: ")]
    assert len(counts) == len(step.logged)
    assert counts == [1, *range(6, MANY + 10, 5)]
