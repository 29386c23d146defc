"""The Python interface: loading, running and reading studies. `agrm_study` offers its public names."""
