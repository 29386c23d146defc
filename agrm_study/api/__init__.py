"""The Python interface: loading, running and reading studies. `agrm_study` exports its public names."""
