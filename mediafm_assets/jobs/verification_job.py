"""Job that verifies the digests of the store's files, a part of them each night."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from mediafm_assets.jobs.title_jobs import MAX_RUNTIME
from mediafm_assets.resources.platform_resource import PlatformResource
from mediafm_core.runtime.progress import progress_lines

if TYPE_CHECKING:
    from mediafm_core.pipeline.integrity.repair import Repaired
    from mediafm_core.pipeline.integrity.verification import Share, Verification

_NAMED = 20  # damaged files in the run's metadata


class VerificationConfig(dg.Config):
    """Files to verify."""

    everything: bool = Field(
        default=False, description="read all files of the store instead of this night's part"
    )


@dg.op
def verify_share(
    context: dg.OpExecutionContext, config: VerificationConfig, platform: PlatformResource
) -> None:
    """Verify a part of the store's files and remove damaged ones, so that they are recomputed."""
    from mediafm_core.pipeline.integrity.repair import Repaired, repair_and_publish
    from mediafm_core.pipeline.integrity.verification import nightly_share, verify

    nights = 1 if config.everything else platform.settings.verification.nights
    share = nightly_share(datetime.now(UTC).date(), nights)
    with progress_lines(context.log.info) as lines:
        found = verify(platform, share=share, progress=lines.show)
    for damage in found.damaged:
        context.log.warning(f"{damage}.")
    repaired = repair_and_publish(platform, found) if found.damaged else Repaired()
    context.add_output_metadata(_metadata(found, repaired, share))
    if repaired.left:
        raise dg.Failure(" ".join(repaired.left), allow_retries=False)


def _metadata(found: "Verification", repaired: "Repaired", share: "Share") -> dict[str, Any]:
    return {
        "part": f"{share.number + 1} of {share.parts}",
        "files": found.files,
        "mebibytes": found.bytes / (1 << 20),
        "damaged": len(found.damaged),
        "damaged_files": dg.MetadataValue.json([str(each) for each in found.damaged[:_NAMED]]),
        "computed_again": dg.MetadataValue.json(sorted(repaired.titles)),
        "without_digest": len(found.unsealed),
    }


@dg.job(
    tags=MAX_RUNTIME,
    description="Verify the digests of the store's files and remove damaged ones.",
)
def verify_catalogue() -> None:
    """Run `verify_share`."""
    verify_share()
