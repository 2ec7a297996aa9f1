"""What a release does around the pipeline: containers, the job matrix, smoke tests, sums."""
