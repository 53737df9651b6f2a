"""`mediafm similar`, `search` and `index`: search for clips."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mediafm_core.cli.options import VECTOR_CHOICES, Seconds, catalogue_options, json_option
from mediafm_core.cli.output import print_json, print_rows, print_rows_as_json, say
from mediafm_core.config.settings import Settings
from mediafm_core.errors import MediaFMError

if TYPE_CHECKING:
    import pyarrow as pa

    from mediafm_core.api.clip_search import Searcher
    from mediafm_core.clips.vector_choice import VectorChoice

_SPAN = 3  # arguments


def _search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every search, and of the display of its result."""
    for option in (
        json_option,
        click.option(
            "--html",
            type=click.Path(dir_okay=False, writable=True, path_type=Path),
            metavar="FILE",
            help="Also write an HTML page with pictures.",
        ),
        click.option(
            "--diversity",
            default=0.0,
            type=click.FloatRange(0, 1),
            help="From 0, the best clips, to 1, clips as different from each other as possible.",
        ),
        click.option(
            "--per-title", type=click.IntRange(min=1), help="Maximum number of clips per title."
        ),
        click.option(
            "--where",
            metavar="SQL",
            help="A condition on the columns of titles and clips, e.g. \"language = 'en'\".",
        ),
        click.option(
            "-k", default=10, show_default=True, type=click.IntRange(min=1), help="Number of clips."
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("spans", nargs=-1, required=True, metavar="TITLE START END [TITLE START END]...")
@_search_options
@click.option("--exclude-overlapping", is_flag=True, help="Leave out clips that overlap the span.")
@click.option("--exact", is_flag=True, help="Compare every clip, even if there is an index.")
@click.option(
    "--by",
    type=click.Choice(VECTOR_CHOICES),
    default="context",
    show_default=True,
    help="Vectors to compare: in context, fused without context, or both.",
)
@click.option(
    "--fused-weight",
    type=click.FloatRange(0, 1),
    metavar="W",
    help="With --by both, similarity is (1-W) * contextual + W * fused cosine  [default: 0.5]",
)
@catalogue_options
def similar(
    settings: Settings,
    spans: tuple[str, ...],
    as_json: bool,
    html: Path | None,
    by: "VectorChoice",
    **options: Any,
) -> None:
    """Find the clips nearest to the span from START to END of TITLE, in the whole catalogue.

    Times are seconds or h:mm:ss. The span is embedded in context and compared with every clip by
    cosine similarity. With several spans, the column `query` numbers their results from 0. Fused
    vectors are compared where the setting publishing.fused_vectors is on; no index is used then.
    """
    from mediafm_core.api.clip_search import Searcher

    if len(spans) % _SPAN:
        raise click.UsageError("Give a title, a start and an end for each span.")
    time = Seconds()
    queries = [
        (title, time.convert(start, None, None), time.convert(end, None, None))
        for title, start, end in zip(*(spans[part::_SPAN] for part in range(_SPAN)), strict=True)
    ]
    with Searcher(settings.require_store(), precision=None, by=by) as searcher:
        found = searcher.similar_many(queries, **options)
        if len(queries) == 1:
            found = found.drop_columns("query")
        _show(searcher, found, queries, html, as_json)


@click.command()
@click.argument("text")
@_search_options
@click.option(
    "--by",
    "ways",
    metavar="WAYS",
    help="Any of words,meaning,picture  [default: all that the profile supports]",
)
@catalogue_options
def search(
    settings: Settings,
    text: str,
    as_json: bool,
    html: Path | None,
    ways: str | None,
    **options: Any,
) -> None:
    """Find clips by TEXT: by their timed text and by their pictures.

    `words` matches the words of TEXT in the timed text (BM25), `meaning` compares text embeddings,
    and `picture` compares TEXT with the keyframes, if the video encoder is open_clip. Clips that
    rank high in any of them come first.
    """
    from mediafm_core.api.clip_search import Searcher

    chosen = [way.strip() for way in ways.split(",")] if ways is not None else None
    with Searcher(settings.require_store(), precision=None) as searcher:
        found = searcher.search_text(text, methods=chosen, **options)  # type: ignore[arg-type]
        _show(searcher, found, [text], html, as_json)


@click.command()
@json_option
@catalogue_options
def index(settings: Settings, as_json: bool) -> None:
    """Build a vector index of the published clips, which `similar` uses from then on.

    It is for large catalogues, where comparing every clip takes long. Its results are approximate.
    Clips that are published later are compared one by one until the index is rebuilt.
    """
    from mediafm_core.api.clip_search import build_index
    from mediafm_core.cli.progress_display import progress_display
    from mediafm_core.runtime.progress import WorkProgress, time_left

    with progress_display(sys.stderr) as display:
        started = time.monotonic()
        display.show(WorkProgress("reading clips"))

        def progress(share: float) -> None:
            left = time_left(share, time.monotonic() - started)
            display.show(WorkProgress("adding clips to the index", share, seconds_left=left))

        built = build_index(settings.require_store(), progress=progress)
    clips = sum(built.rows)
    if as_json:
        print_json({"model": built.model, "clips": clips, "bytes": built.bytes})
    else:
        say(f"{clips:,} clips of {built.model}, {built.bytes / (1 << 20):.1f} MiB.")


def _show(
    searcher: "Searcher",
    found: "pa.Table",
    queries: list[Any],
    html: Path | None,
    as_json: bool,
) -> None:
    if html is not None:
        page = searcher.page(found, queries)
        try:
            html.write_text(page, encoding="utf-8")
        except OSError as error:
            raise MediaFMError(
                f"{html} cannot be written ({error.strerror}): name a file in another folder."
            ) from None
    if as_json:
        print_rows_as_json(found)
        return
    print_rows(found)
    if html is not None:
        say(f"Pictures: {html}")
