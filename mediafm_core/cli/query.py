"""`mediafm sql` and `embed`: queries of the published catalogue."""

from typing import TYPE_CHECKING

import click

from mediafm_core.cli.options import Seconds, catalogue_options, json_option, vectors_option
from mediafm_core.cli.output import print_json, print_rows, print_rows_as_json, say
from mediafm_core.config.settings import Settings

if TYPE_CHECKING:
    from mediafm_core.clips.vector_choice import VectorChoice

_FIRST_VALUES = 6
_JSON_KEYS = {"context": "embedding", "fused": "fused"}


@click.command()
@click.argument("query")
@json_option
@catalogue_options
def sql(settings: Settings, query: str, as_json: bool) -> None:
    """Run QUERY, a SELECT in DuckDB's SQL, on the catalogue.

    Tables: titles, shots, scenes, clips, clip_features, title_features, catalogue; with published
    fused vectors also fused_space. `SHOW TABLES` and `DESCRIBE titles` list them and their columns.
    A query can write nothing and read nothing else.
    """
    from mediafm_core.api.catalogue_reader import sql

    rows = sql(query, store=settings.require_store())
    (print_rows_as_json if as_json else print_rows)(rows)


@click.command()
@click.argument("title")
@click.argument("start", type=Seconds())
@click.argument("end", type=Seconds())
@click.option(
    "--alone", is_flag=True, help="Compute it from the span's own shots only, without context."
)
@click.option("--prefix", is_flag=True, help="Compute it from the shots up to the span's end only.")
@click.option(
    "--look-back",
    type=int,
    metavar="SHOTS",
    help="With --prefix, number of shots in the input  [default: the model's maximum]",
)
@vectors_option
@json_option
@catalogue_options
def embed(
    settings: Settings,
    title: str,
    start: float,
    end: float,
    alone: bool,
    prefix: bool,
    look_back: int | None,
    vectors: "VectorChoice",
    as_json: bool,
) -> None:
    """Print the vector of the span from START to END of TITLE.

    Times are seconds or h:mm:ss. By default the span is a slice of the whole title's inference.
    With --alone, the model's input is the span's own shots; with --prefix, it is the title up to
    the span's end, as for live material. With --vectors fused or both, the pooled vectors that the
    model reads are printed instead or as well: the span's own detail, without context.
    """
    import numpy as np

    from mediafm_core.api.catalogue_reader import embed_span

    span = embed_span(
        title,
        start,
        end,
        alone=alone,
        prefix=prefix,
        look_back=look_back,
        vectors=vectors,
        store=settings.require_store(),
    )
    parts = {name: span.vector[slice(*columns)] for name, columns in span.ranges.items()}
    if as_json:
        values = {_JSON_KEYS[name]: vector.tolist() for name, vector in parts.items()}
        print_json(
            {
                "title_id": title,
                "start_s": start,
                "end_s": end,
                "mode": span.mode,
                "model": span.model,
                **values,
                **({"encoders": span.encoders} if span.encoders else {}),
            }
        )
        return
    say(f"{title}, {start:g} to {end:g} s, {span.mode.replace('_', ' ')} ({span.model})")
    for name, vector in parts.items():
        first = ", ".join(f"{value:.4f}" for value in vector[:_FIRST_VALUES])
        named = f"{name}: " if len(parts) > 1 else ""
        say(f"{named}{len(vector)} values, length {np.linalg.norm(vector):.4f}")
        say(f"[{first}, …]")
