"""The kinds of input: what each starts from, how it is changed, and what it then goes through."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import yaml

from benchmarks.fuzzing import mutations
from benchmarks.fuzzing.corpus import (
    CAPTIONS,
    CLIPS,
    MANIFEST,
    MEDIA,
    SECRET,
    SETTINGS,
    TEXTS,
    TITLE,
    Corpus,
)
from benchmarks.fuzzing.structures import OF_SUFFIX
from mediafm_core.config.setting_names import setting_names, variable_of
from mediafm_core.config.settings import CONFIG_FILE_VARIABLE, Settings, load_settings
from mediafm_core.disk.seals import is_sealed_json, read_sealed_json

if TYPE_CHECKING:
    from benchmarks.quick_catalogue import QuickPlatform

_LIMITS = {"cpu_factor": 0.1, "memory_mb": 1024, "no_progress_s": 60.0}  # below those of `fuzz`
_STRANGE_SHARE = 0.04  # of inputs from outside: links, pipes and scripts in place of the content


_UNSEALED_SHARE = 0.6  # of stored files: a digest would refuse whatever is changed
_SEAL = re.compile(rb"MediaFM-SHA-256:[0-9a-f]{64}\n")


class RefusedError(Exception):
    """An input was refused with this sentence."""


@dataclass(frozen=True)
class Input:
    """One mutated input.

    Attributes:
        file: the file that has it, relative to the worker's folder.
        content: of the file; a path stands for a link to it, None for a pipe.
        mutation: names of the mutations.
    """

    file: str
    content: bytes | Path | None
    mutation: str

    def write(self, root: Path) -> Path:
        """Put the input in its place."""
        path = root / self.file
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.content is None:
            os.mkfifo(path)
        elif isinstance(self.content, Path):
            path.symlink_to(self.content)
        else:
            path.write_bytes(self.content)
        return path


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: for `--only` and the table.
        make: draws an input; called with a generator, the corpus and the worker's folder.
        run: takes it through the platform; raises `RefusedError` or an error of the project.
        names: one of these is in every sentence that refuses it.
    """

    name: str
    make: Callable[[Random, Corpus, Path], Input]
    run: Callable[[Path, Input], None]
    names: tuple[str, ...]


def kinds() -> dict[str, Kind]:
    """All kinds by their names."""
    title = (TITLE,)
    found = [
        *(Kind(suffix, _media(suffix), _take_in, title) for suffix in MEDIA),
        *(
            Kind(suffix, _text(f"inbox/{TITLE}/film.en.{suffix}", TEXTS[suffix]), _captions, title)
            for suffix in CAPTIONS
        ),
        Kind("title.json", _manifest, _metadata, title),
        Kind("clips.csv", _text(f"inbox/{TITLE}/clips.csv", CLIPS), _clips, title),
        Kind("settings.toml", _settings_file, _load_settings, ("mediafm.toml", "etting")),
        Kind(
            "environment", _variable, _load_variable, ("MEDIAFM_", "etting", "inbox", "store", "`")
        ),
        Kind("command line", _arguments, _command, ()),
        Kind("model", _model, _load_model, ("mediafm-",)),
        Kind("artefact", _artefact, _read_artefact, (TITLE,)),
        Kind("shard", _shard, _read_features, ("parquet", "features", "query", TITLE)),
        Kind("features.duckdb", _features, _read_features, ("features.duckdb", "query", TITLE)),
        Kind("serving.json", _serving, _read_serving, ("serving.json",)),
        Kind("dagster.yaml", _dagster_yaml, _open_instance, ("dagster.yaml", "dagster_home")),
        Kind("run configuration", _run_config, _validate_run_config, ()),
    ]
    return {kind.name: kind for kind in found}


# --- titles


def _media(suffix: str) -> Callable[[Random, Corpus, Path], Input]:
    own = OF_SUFFIX[suffix]

    def make(rng: Random, corpus: Corpus, root: Path) -> Input:
        file = f"inbox/{TITLE}/media.{suffix}"
        data = corpus.media(suffix)
        others = [corpus.media(each) for each in MEDIA]
        possible = (*mutations.BYTES, *(own,) * len(mutations.BYTES))
        content, names = mutations.mutate(rng, data, others, possible)
        return _or_strange(rng, root, Input(file, content, names), f"{SECRET}.mp4")

    return make


def _text(file: str, text: str) -> Callable[[Random, Corpus, Path], Input]:
    def make(rng: Random, _corpus: Corpus, root: Path) -> Input:
        others = [each.encode() for each in (*TEXTS.values(), CLIPS)]
        content, names = mutations.mutate(rng, text.encode(), others, mutations.TEXT)
        return _or_strange(rng, root, Input(file, content, names), f"{SECRET}.srt")

    return make


def _manifest(rng: Random, _corpus: Corpus, root: Path) -> Input:
    data = json.dumps(MANIFEST).encode()
    content, names = mutations.mutate(rng, data, [CLIPS.encode()], mutations.JSON)
    file = f"inbox/{TITLE}/title.json"
    return _or_strange(rng, root, Input(file, content, names), f"{SECRET}.srt")


def _or_strange(rng: Random, root: Path, made: Input, secret: str) -> Input:
    """In place of some inputs a link, a pipe or a script that leads outside."""
    if isinstance(rng, mutations.Sound) or rng.random() >= _STRANGE_SHARE:
        return made
    target = root / "outside" / secret
    relative = os.path.relpath(target, (root / made.file).parent)
    ways: list[tuple[bytes | Path | None, str]] = [(target, "link"), (None, "pipe")]
    for name in (str(target), relative, f"file:{target}", f"http://127.0.0.1:9/{secret}"):
        for script in (
            f"ffconcat version 1.0\nfile '{name}'\nduration 1\n",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n",
            f"<?xml version='1.0'?><MPD><Period><BaseURL>{name}</BaseURL></Period></MPD>",
            f"[playlist]\nFile1={name}\n",
            f"[Script Info]\nAudio File: {name}\nVideo File: {name}\n",
        ):
            ways.append((script.encode(), "script"))
    content, name = rng.choice(ways)
    return Input(made.file, content, name)


def _platform(root: Path, fresh_store: bool = False) -> "QuickPlatform":
    from benchmarks.quick_catalogue import QuickPlatform, settings_for

    store = root / ("fresh_store" if fresh_store else "store")
    return QuickPlatform(settings_for(root / "inbox", store, limits=_LIMITS))


def _materialise(platform: "QuickPlatform", *groups: tuple[str, ...], force: bool = False) -> None:
    from mediafm_core.pipeline.materialise import materialise

    for group in groups:
        for outcome in materialise(platform, group, TITLE, force):
            if outcome.status == "quarantined":
                raise RefusedError(outcome.reason)


def _take_in(root: Path, made: Input) -> None:
    from mediafm_core.pipeline.materialise import DECODED

    for other in (root / "inbox" / TITLE).glob("media.*"):
        if other.name != Path(made.file).name:
            other.unlink()
    platform = _platform(root, fresh_store=True)
    _materialise(platform, ("title",), DECODED, ("timed_text",))


def _captions(root: Path, made: Input) -> None:
    for other in (root / "inbox" / TITLE).glob("film.*"):
        if other.name != Path(made.file).name:
            other.unlink()
    _materialise(_platform(root), ("title",), ("timed_text",))


def _metadata(root: Path, _made: Input) -> None:
    _materialise(_platform(root), ("title",), ("title_metadata_embedding",))


def _clips(root: Path, _made: Input) -> None:
    _materialise(_platform(root), ("title",), ("clip_features",))


# --- settings and commands


def _settings_file(rng: Random, _corpus: Corpus, _root: Path) -> Input:
    data, others = SETTINGS.encode(), [CLIPS.encode(), TEXTS["ass"].encode()]
    return Input("mediafm.toml", *mutations.mutate(rng, data, others, mutations.TEXT))


def _load_settings(root: Path, made: Input) -> None:
    with _environment({CONFIG_FILE_VARIABLE: str(root / made.file)}):
        _use(load_settings(inbox=root / "inbox", store=root / "store"))


def _variable(rng: Random, _corpus: Corpus, root: Path) -> Input:
    names = [variable_of(name) for name in setting_names(Settings)]
    name = rng.choice((*names, "MEDIAFM_NOTHING", "MEDIAFM_MODEL__", "MEDIAFM_"))
    value = rng.choice(
        (
            *(*mutations.NUMBERS, "true", "[]", "{}", '{"hidden": -1}', "[" * 5000, "x" * 100_000),
            *("é\udcff", "s3://", "s3://a/../b", "/dev/null", "/dev/stdin", "..", "~", "a?b", "\n"),
            *("http://user:secret@127.0.0.1/", "cuda:99", "os:system", str(root / "outside")),
        )
    )
    if isinstance(rng, mutations.Sound):
        name, value = "MEDIAFM_DEVICE", "cpu"
    return Input("variable.txt", json.dumps([name, value]).encode(), "value")


def _load_variable(root: Path, made: Input) -> None:
    name, value = json.loads((root / made.file).read_bytes())
    places = {"MEDIAFM_INBOX": str(root / "inbox"), "MEDIAFM_STORE": str(root / "store")}
    try:
        with _environment({**places, name: value}):
            _use(load_settings())
    except ValueError as error:  # the system takes no such variable
        if "embedded null" not in str(error) and "surrogates" not in str(error):
            raise


def _use(settings: Settings) -> None:
    from mediafm_core.encoders.profiles import audio_encoder, text_encoder, video_encoder

    settings.require_inbox()
    settings.require_store()
    for build in (video_encoder, audio_encoder, text_encoder):
        build(settings)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


_COMMANDS = [
    line.split("|")
    for line in (
        *("status", "status|--titles|*", "models", "models|*", "embed|*|0|1", "embed|film|*|*"),
        *("embed|film|0|*", "sql|*", "sql|SELECT * FROM clips WHERE *", "similar|film|*|1"),
        *("similar|film|0|1|-k|*", "search|*", "export|*|*", "retire|*", "evaluate|--label|*", "*"),
        *("status|--store|*", "status|--inbox|*", "sql|SELECT 1|--*"),
    )
]


def _arguments(rng: Random, _corpus: Corpus, _root: Path) -> Input:
    line = rng.choice(_COMMANDS)
    value = rng.choice(
        (
            *(*mutations.NUMBERS, "", "a" * 3000, "SELECT " + "(" * 2000, "\x1b[2J\n", "a/../b"),
            *(
                "\udcff",
                "--help",
                "-",
                "--json",
                "😀" * 400,
                "[" * 500,
                "1:2:3:4",
                "1=1; DROP",
                "'",
            ),
            *("SELECT * FROM read_csv('/etc/passwd')", "COPY titles TO 'x'", "PRAGMA version"),
        )
    )
    if isinstance(rng, mutations.Sound):
        line = ["status"]
    arguments = [part.replace("*", value) for part in line]
    return Input("arguments.txt", json.dumps(arguments).encode(), line[0])


def _command(root: Path, made: Input) -> None:
    from click.testing import CliRunner

    from mediafm_core.cli.main import main

    here = {"MEDIAFM_INBOX": str(root / "inbox"), "MEDIAFM_STORE": str(root / "store")}
    with _environment(here):
        result = CliRunner().invoke(main, json.loads((root / made.file).read_bytes()))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code:
        raise RefusedError(result.stderr.strip().splitlines()[-1].removeprefix("Error: "))


# --- stores and models


def _some_file(rng: Random, root: Path, pattern: str) -> tuple[str, bytes, list[bytes]]:
    """One of the files of the worker's catalogue, its content and those of the others."""
    files = sorted(each for each in root.glob(pattern) if each.is_file())
    file = rng.choice(files)
    return str(file.relative_to(root)), file.read_bytes(), [each.read_bytes() for each in files]


def _stored(
    rng: Random, root: Path, patterns: Sequence[str], some: Sequence[mutations.Mutation] = ()
) -> Input:
    file, data, others = _some_file(rng, root, rng.choice(patterns))
    if rng.random() < _UNSEALED_SHARE:
        data = _without_seal(data)
    possible = some or (mutations.JSON if file.endswith(".json") else mutations.BYTES)
    return Input(file, *mutations.mutate(rng, data, others, possible))


def _without_seal(data: bytes) -> bytes:
    """A file as earlier versions wrote it: what is changed in it has no digest to be seen by."""
    if is_sealed_json(data):
        return json.dumps(read_sealed_json(data)).encode()
    return _SEAL.sub(b"", data)


def _model(rng: Random, _corpus: Corpus, root: Path) -> Input:
    names = ("config.json", "config.json", "training.json", "model.safetensors", "README.md")
    made = _stored(rng, root, [f"store/models/*/{name}" for name in names])
    if rng.random() < _STRANGE_SHARE and not isinstance(rng, mutations.Sound):
        content = rng.choice((None, root / "outside" / f"{SECRET}.srt"))
        return Input(made.file, content, "link" if content else "pipe")
    return made


def _load_model(root: Path, made: Input) -> None:
    from mediafm_core.model.model_files import read_card
    from mediafm_core.model.saved_model import copy_model
    from mediafm_core.pipeline.releases.candidates import Candidate, list_candidates
    from mediafm_core.store.store import Store

    folder = (root / made.file).parent
    list_candidates(Store(root / "store"))
    read_card(folder)
    Candidate(folder).record  # noqa: B018 - read
    copy_model(folder, root / "adopted")


def _artefact(rng: Random, _corpus: Corpus, root: Path) -> Input:
    patterns = [f"store/{asset}/{TITLE}.*" for asset in ("title", "soundtrack", "shots")]
    patterns += [f"store/*/{TITLE}.parquet", f"store/*/*/{TITLE}.parquet"]
    return _stored(rng, root, patterns)


def _read_artefact(root: Path, _made: Input) -> None:
    """Read the artefact, then do what a run does with the title."""
    from mediafm_core.errors import StoreError
    from mediafm_core.pipeline.graph import FROM_MODEL, UP_TO_FUSION
    from mediafm_core.pipeline.materialise import DECODED
    from mediafm_core.pipeline.planning.asset_states import catalogue_states

    platform = _platform(root)
    list(catalogue_states(platform))
    groups = [
        DECODED if asset == DECODED[0] else (asset,)
        for asset in (*UP_TO_FUSION, *FROM_MODEL)
        if asset not in DECODED[1:]
    ]
    try:
        _materialise(platform, *groups, force=True)
    except StoreError as error:  # damaged artefacts are removed, and the next run makes them
        _materialise(platform, *groups)
        raise RefusedError(str(error)) from None


def _shard(rng: Random, _corpus: Corpus, root: Path) -> Input:
    return _stored(rng, root, ["store/features/*/*/*.parquet"])


def _features(rng: Random, _corpus: Corpus, root: Path) -> Input:
    return _stored(rng, root, ["store/features.duckdb"])


def _read_features(root: Path, _made: Input) -> None:
    """Work of readers, and of a run that publishes."""
    from mediafm_core.api import catalogue_reader
    from mediafm_core.store.features import catalogue, feature_tables
    from mediafm_core.store.store import Store

    store = root / "store"
    with _environment({"MEDIAFM_STORE": str(store), "MEDIAFM_INBOX": str(root / "inbox")}):
        catalogue(Store(store))
        for table in feature_tables.TABLES:
            catalogue_reader.sql(f"FROM {table}", store=store)
        catalogue_reader.embed_many(TITLE, [(0.0, 0.5), (0.2, 1.0)], store=store)


def _serving(rng: Random, _corpus: Corpus, root: Path) -> Input:
    return _stored(rng, root, ["store/serving.json"])


def _read_serving(root: Path, _made: Input) -> None:
    from mediafm_core.pipeline.serving import (
        release_history,
        restored_by_rollback,
        serving_model,
    )
    from mediafm_core.store.model_store import model_folder
    from mediafm_core.store.store import Store

    store = Store(root / "store")
    history = release_history(store)
    restored_by_rollback(history)
    model_folder(store, serving_model(store) or "none")


# --- Dagster

_YAML = (Path(__file__).parents[2] / "dagster_home" / "dagster.yaml").read_text()


def _dagster_yaml(rng: Random, _corpus: Corpus, _root: Path) -> Input:
    file = "dagster_home/dagster.yaml"
    if rng.random() < 0.5:
        return Input(file, *mutations.mutate(rng, _YAML.encode(), [b"a: 1"], mutations.TEXT))
    data = json.dumps(yaml.safe_load(_YAML)).encode()  # JSON is YAML
    return Input(file, *mutations.mutate(rng, data, [b"a: 1"], mutations.JSON))


def _open_instance(root: Path, made: Input) -> None:
    from mediafm_assets.resources.instance import open_instance
    from mediafm_core.store.store import Store

    with (
        _environment({"DAGSTER_HOME": str((root / made.file).parent)}),
        open_instance(Store(root / "store")) as instance,
    ):
        instance.get_runs(limit=1)


_RUN_CONFIGS = {
    "ingest_title": {"resources": {"options": {"config": {"force": True}}}},
    "release_model": {
        "ops": {
            "release_candidate": {
                "config": {"version": "aaaa", "compare": True, "reason": "", "released_by": "x"}
            }
        }
    },
    "rollback_model": {
        "ops": {"restore_previous_release": {"config": {"reason": "", "released_by": "x"}}}
    },
}


def _run_config(rng: Random, _corpus: Corpus, _root: Path) -> Input:
    job = rng.choice(sorted(_RUN_CONFIGS))
    if isinstance(rng, mutations.Sound):
        job = "ingest_title"
    data = json.dumps(_RUN_CONFIGS[job]).encode()
    content, names = mutations.mutate(rng, data, [], (mutations.mutate_json,))
    return Input(f"{job}.json", content, names)


def _validate_run_config(root: Path, made: Input) -> None:
    import dagster as dg

    from benchmarks.quick_catalogue import QuickPlatform, settings_for
    from mediafm_assets.definitions import definitions

    try:
        config = yaml.safe_load((root / made.file).read_bytes())  # as the UI does
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RefusedError(type(error).__name__) from None
    platform = QuickPlatform(settings_for(root / "inbox", root / "store"))
    job = definitions({"platform": platform}).resolve_job_def(made.file.removesuffix(".json"))
    try:
        dg.validate_run_config(job, config)
    except dg.DagsterError as error:  # shown by Dagster's own page
        raise RefusedError(type(error).__name__) from None
    if job.name == "ingest_title":
        return
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(config, instance=instance, raise_on_error=False)
        for event in done.get_step_failure_events():
            data = event.step_failure_data
            if data.user_failure_data is None:
                raise RuntimeError(str(data.error))
            raise RefusedError(data.user_failure_data.description or "")


def prepare(root: Path, corpus: Corpus) -> None:
    """Make a worker's folder anew: a catalogue that is whole, and the canaries outside."""
    for name in ("inbox", "store", "fresh_store", "adopted", "dagster_home"):
        shutil.rmtree(root / name, ignore_errors=True)
    shutil.copytree(corpus.catalogue, root, dirs_exist_ok=True)


def make_canaries(root: Path, corpus: Corpus) -> Path:
    """Make the files outside that nothing may open; returns their folder."""
    outside = root / "outside"
    outside.mkdir()
    (outside / f"{SECRET}.mp4").write_bytes(corpus.media("mp4"))
    (outside / f"{SECRET}.srt").write_text(TEXTS["srt"])
    return outside
