"""What a build did: edges, critical path, costs, cache hits, registers; two builds compared."""
