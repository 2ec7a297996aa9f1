"""What lies in an installed wheel: the manifest, and whether the files are what it says."""
