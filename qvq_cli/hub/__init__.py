"""Models: what there is, where it lies, what is in the files, what fits this machine."""
