"""Entry point of `python -m agrm_study`, equivalent to `agrm-study`."""

from agrm_study.cli import main

if __name__ == "__main__":
    main()
