"""What AITER chooses for a call: back end, block_m, instance, kernel."""
