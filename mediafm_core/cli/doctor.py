"""`mediafm doctor`: check whether this machine is ready, and print remedies."""

from dataclasses import asdict

import click

from mediafm_core.cli.options import json_option, training_options
from mediafm_core.cli.output import print_json, print_table, say
from mediafm_core.config.settings import Settings

_SYMBOLS = {"ok": "✓", "warning": "!", "error": "✗"}


@click.command()
@json_option
@training_options
@click.pass_context
def doctor(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """Check codecs, weights, disk space and settings, and print remedies.

    The exit code is 1 if something must be fixed.
    """
    from mediafm_core.cli.diagnostics import examine, settings_in_force

    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if not as_json:
            say(f"{_SYMBOLS[finding.level]} {finding.check}: {finding.message}")
    in_force = settings_in_force(settings)
    if as_json:
        print_json({"checks": [asdict(finding) for finding in findings], "settings": in_force})
    else:
        say()
        print_table(["setting", "value"], in_force.items())
    if any(finding.level == "error" for finding in findings):
        ctx.exit(1)
