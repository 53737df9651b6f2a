"""Process, device and progress of a computation.

In: settings, signals, errors. Out: device, precision and threads of networks; interruption within
bounded time; causes of errors; progress lines; prefetching.
"""
