"""Which trained model the catalogue is contextualised with."""

import json
from datetime import UTC, datetime

from mediafm_core.errors import ConfigurationError, StoreError
from mediafm_core.store.artefacts import Store

FILE = "serving.json"


def serving_model(store: Store) -> str | None:
    """Identity (`name-version@digest`) of the released model, or None before the first release."""
    path = store.root / FILE
    try:
        return str(json.loads(path.read_bytes())["model"])
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, KeyError) as error:
        raise StoreError(f"{path} is damaged ({error!r}): release a model again.") from None


def release(store: Store, model: str) -> None:
    """Make a trained model the one that the catalogue is contextualised with, atomically.

    Raises:
        ConfigurationError: the store holds no such model.
    """
    if not (store.models / model / "config.json").is_file():
        known = ", ".join(sorted(path.name for path in store.models.glob("*@*"))) or "none"
        raise ConfigurationError(f"There is no model {model} in {store.models}; there is: {known}.")
    document = {"model": model, "released_at": datetime.now(UTC).isoformat(timespec="seconds")}
    with store.staging() as folder:
        prepared = folder / FILE
        prepared.write_text(json.dumps(document, indent=2) + "\n")
        store.commit(prepared, store.root / FILE)
