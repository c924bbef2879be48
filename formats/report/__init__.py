"""The report: a session, or the differences of two, as one HTML file that needs nothing else."""
