"""`python -m agrm_study` is `agrm-study`."""

from agrm_study.cli import main

if __name__ == "__main__":
    main()
