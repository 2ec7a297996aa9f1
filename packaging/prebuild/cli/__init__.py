"""The commands of ``prebuild``; each is imported when it runs."""
