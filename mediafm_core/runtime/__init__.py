"""The process that computes: stopping it on a signal, and recognising it from another process."""
