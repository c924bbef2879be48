"""The log while it is recorded: numbering, batches, backpressure, the writer thread, callbacks."""
