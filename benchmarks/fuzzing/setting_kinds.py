"""Kinds of input that set up a process: `mediafm.toml`, environment, command line."""

import json
from pathlib import Path
from random import Random

from benchmarks.fuzzing import mutations
from benchmarks.fuzzing.corpus import CLIPS, SETTINGS, TEXTS, Corpus
from benchmarks.fuzzing.inputs import Input, Kind, RefusedError, environment
from mediafm_core.config.setting_names import setting_names, variable_of
from mediafm_core.config.settings import CONFIG_FILE_VARIABLE, Settings, load_settings


def setting_kinds() -> list[Kind]:
    """Return the kinds of settings and arguments."""
    return [
        Kind("settings.toml", _settings_file, _load_settings, ("mediafm.toml", "etting")),
        Kind(
            "environment", _variable, _load_variable, ("MEDIAFM_", "etting", "inbox", "store", "`")
        ),
        Kind("command line", _arguments, _command, ()),
    ]


def _settings_file(rng: Random, _corpus: Corpus, _root: Path) -> Input:
    data, others = SETTINGS.encode(), [CLIPS.encode(), TEXTS["ass"].encode()]
    return Input("mediafm.toml", *mutations.mutate(rng, data, others, mutations.TEXT))


def _load_settings(root: Path, made: Input) -> None:
    with environment({CONFIG_FILE_VARIABLE: str(root / made.file)}):
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
        with environment({**places, name: value}):
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
    with environment(here):
        result = CliRunner().invoke(main, json.loads((root / made.file).read_bytes()))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code:
        raise RefusedError(result.stderr.strip().splitlines()[-1].removeprefix("Error: "))
