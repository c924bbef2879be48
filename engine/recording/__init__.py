"""The log while it is recorded: builders of records, their redaction, numbers, batches, writer threads, callbacks."""
