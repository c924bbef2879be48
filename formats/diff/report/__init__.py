"""Reports of a comparison: for people, programs and CI servers."""
