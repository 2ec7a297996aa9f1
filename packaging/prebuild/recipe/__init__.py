"""Stage 1: production deployments from YAML files."""
