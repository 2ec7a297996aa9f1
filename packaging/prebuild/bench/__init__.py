"""The split build beside the four-in-one build that it replaces, on one machine in one run."""
