"""Commands of `mediafm`.

In: options of the command line. Out: tables for people or JSON for programs on standard output,
progress and errors on standard error, and an exit code.
"""
