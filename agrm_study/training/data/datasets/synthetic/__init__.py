"""Synthetic hybrid data sets: rendered walkers with known knee angles, encoded as real video files.

`write_synthetic` writes labelled children in the format of SPWVD and unlabelled adults in the format of CASIA-B;
`contact_sheet` draws sample frames. Only the rendered knees depend on the class (see `nuisance` and `classes`).
"""

from agrm_study.training.data.datasets.synthetic.contact_sheet import contact_sheet
from agrm_study.training.data.datasets.synthetic.write import write_synthetic

__all__ = ["contact_sheet", "write_synthetic"]
