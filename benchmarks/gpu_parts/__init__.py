"""Parts of the GPU benchmark; `benchmarks/gpu.py` runs them and prints one table."""
