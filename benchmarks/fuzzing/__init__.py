"""Parts of `benchmarks.fuzz`: inputs, mutations, what each kind goes through, the watch."""
