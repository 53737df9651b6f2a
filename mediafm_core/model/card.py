"""Model card of a trained model."""

from collections.abc import Mapping
from typing import Any

from mediafm_core.identity import Identity
from mediafm_core.model.network import MediaFM


def model_card(identity: Identity, network: MediaFM, record: Mapping[str, Any]) -> str:
    """Return Markdown for `README.md` beside the weights.

    Args:
        identity: of the model.
        network: the trained network.
        record: content of `training.json`.
    """
    config = network.config
    sections = [
        f"# {identity}",
        "A MediaFM Transformer: reads the fused shot embeddings of one title and gives a "
        f"contextual embedding per shot and one for the title. {_objective(network)}",
        "## Network",
        _table(
            ("property", "value"),
            [
                (
                    "layers, width, heads",
                    f"{config.num_hidden_layers}, {config.hidden_size}, "
                    f"{config.num_attention_heads}",
                ),
                ("feed-forward width", config.intermediate_size),
                ("parameters", f"{sum(p.numel() for p in network.parameters()):,}"),
                ("shots in one pass, at most", config.max_shots),
                ("fused vector, metadata vector", f"{config.fused_size}, {config.global_size}"),
                ("attention", config.attention.replace("_", " ")),
                ("width of contextual vectors", config.context_size),
            ],
        ),
        "## Fused space",
        _table(
            ("modality", "columns", "encoder"),
            [
                (name, f"[{span[0]}, {span[1]})", (config.encoder_identities or {}).get(name, ""))
                for name, span in (config.fused_ranges or {}).items()
            ],
        ),
        "Vectors of other encoders are refused.",
        "## Data",
        f"{record['shots']:,} shots of {len(record['titles'])} titles; `training.json` lists them "
        "with the versions of their vectors.",
        "## Training",
        _training(record),
        "## Results",
        _results(record),
        "## Intended use",
        "Features of clips of films and episodes, frozen, with linear probes or nearest "
        "neighbours on top. Embed a clip in the context of its whole title.",
        "## Limits",
        "The vectors have the languages and biases of the three encoders. "
        "A model trained on few titles is overfitted to them; retrain it on the catalogue that "
        "it serves. Do not use it to identify people or to rate titles.",
    ]
    return "\n\n".join(sections) + "\n"


def _objective(network: MediaFM) -> str:
    if network.config.reads_two_directions:
        return (
            "It reads a title forward and backward, and is trained by past against future: find "
            "the future of a shot among those of other shots, from the shots before it."
        )
    return (
        "Trained by Masked Shot Modeling: predict the fused vectors of masked shots from the other "
        "shots of the title."
    )


def _training(record: Mapping[str, Any]) -> str:
    groups = [
        (group["name"], group["optimiser"], group["tensors"], f"{group['parameters']:,}")
        for group in record.get("groups", ())
    ]
    facts = []
    if record.get("started_from"):
        facts.append(f"Its weights started from {record['started_from']}.")
    if "padding_share" in record:
        processes = record["training"]["processes"]
        together = f" in {processes} processes" if processes > 1 else ""
        facts.append(
            f"Computed in {record['arithmetic']} on {record['device']}{together}; "
            f"{record['padding_share']:.1%} of the computed positions were padding."
        )
    table = _table(("parameters", "optimiser", "tensors", "numbers"), groups)
    return " ".join([*facts, "`training.json` has all settings."]) + f"\n\n{table}"


def _results(record: Mapping[str, Any]) -> str:
    last = record["curve"][-1]
    kept_step = record.get("kept_step", last["step"])
    kept = next(point for point in record["curve"] if point["step"] == kept_step)
    rows = [("this model", f"{kept['validation_loss']:.4f}")]
    rows += [(name.replace("_", " "), f"{loss:.4f}") for name, loss in record["baselines"].items()]
    accuracy = kept.get("validation_accuracy")
    if accuracy is not None and not record["baselines"]:
        return (
            f"{kept_step} steps. The titles of the validation are too short to have past and "
            "future, so that nothing shows what the model learnt."
        )
    header = ("prediction of masked shots", "cosine distance")
    if accuracy is not None:
        header = ("future found from the past", "loss (InfoNCE)")
    table = _table(header, rows)
    unseen = record["validation"] == "held-out titles"
    note = (
        f"Validation on titles held out of training: {', '.join(record['validation_titles'])}."
        if unseen
        else "Validation on the training titles: the catalogue is too small to hold titles out, so "
        "the loss on unseen titles is unknown, and the last weights were kept."
    )
    if accuracy is not None:
        note += f" The future of {accuracy:.1%} of the shots had the highest score."
    steps = f"After {kept_step} steps the training loss is {kept['training_loss']:.4f}."
    if kept_step != last["step"]:
        steps += f" Training continued to step {last['step']} without improvement."
    return f"{steps} {note}\n\n{table}"


def _table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
