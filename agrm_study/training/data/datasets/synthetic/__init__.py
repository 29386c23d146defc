"""What does a hybrid data set look like when its truth is known? Synthetic walkers in real video files.

`write_synthetic` writes labelled children in the form of SPWVD and unlabelled adults in the form of CASIA-B;
`contact_sheet` shows them. Nothing but the drawn knees depends on the class (`nuisance`, `classes`).
"""

from agrm_study.training.data.datasets.synthetic.contact_sheet import contact_sheet
from agrm_study.training.data.datasets.synthetic.write import write_synthetic

__all__ = ["contact_sheet", "write_synthetic"]
