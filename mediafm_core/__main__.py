"""`python -m mediafm_core` is `mediafm`."""

from mediafm_core.cli.main import main

main()
