"""What happens before work starts, so that a missing weight or key is said at once."""

from collections.abc import Callable

from mediafm_core.pipeline.catalogue_training import adopt_model
from mediafm_core.pipeline.platform import Platform
from mediafm_core.pipeline.releases.release import release


def prepare(platform: Platform, progress: Callable[[str], None] = lambda _what: None) -> None:
    """Clean up after killed runs, check the encoders, serve the model that the settings name.

    Args:
        platform: settings, store and encoders.
        progress: called with what is being done.

    Raises:
        ConfigurationError: a weight, package or key is missing; the model folder is not sound.
        IdentityMismatchError: that model was trained on vectors of other encoders.
    """
    progress("clearing what killed runs left")
    platform.store.sweep()
    for encoder in (platform.video_encoder, platform.audio_encoder, platform.text_encoder):
        progress(f"checking the weights of {type(encoder).__name__}")
        encoder.check()
    folder = platform.settings.serving_model
    if folder is not None:
        progress(f"adopting the model in {folder}")
        model = adopt_model(platform, folder)
        # The run that follows brings the titles to the settings' encoders.
        release(platform, model, reason=f"setting serving_model: {folder}", compare_titles=False)
