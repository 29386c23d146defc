from agrm_study.api.result_table import ResultTable as ResultTable
from agrm_study.api.results import Results as Results
from agrm_study.api.results import open_results as open_results
from agrm_study.api.run import RunWarning as RunWarning
from agrm_study.api.run import run as run
from agrm_study.api.studies import load_study as load_study
from agrm_study.study.errors import InputError as InputError
from agrm_study.study.study import Study as Study

__version__: str
__all__: list[str]
