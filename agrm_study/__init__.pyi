from agrm_study.api.result_table import ResultTable as ResultTable
from agrm_study.api.results import Results as Results
from agrm_study.api.results import open_results as open_results
from agrm_study.api.run import RunWarning as RunWarning
from agrm_study.api.run import run as run
from agrm_study.api.studies import load_study as load_study
from agrm_study.hooks.base import Hook as Hook
from agrm_study.report.figures.base import FigureKind as FigureKind
from agrm_study.report.tables.base import TableKind as TableKind
from agrm_study.study.errors import InputError as InputError
from agrm_study.study.parts.decorators import backbone as backbone
from agrm_study.study.parts.decorators import figure as figure
from agrm_study.study.parts.decorators import hook as hook
from agrm_study.study.parts.decorators import layout as layout
from agrm_study.study.parts.decorators import loss as loss
from agrm_study.study.parts.decorators import pooling as pooling
from agrm_study.study.parts.decorators import table as table
from agrm_study.study.parts.decorators import threshold as threshold
from agrm_study.study.parts.options import Options as Options
from agrm_study.study.study import Study as Study
from agrm_study.training.data.datasets.layout import Layout as Layout
from agrm_study.training.models.backbones.base import Backbone as Backbone
from agrm_study.training.models.pooling.base import Pooling as Pooling
from agrm_study.training.ssl.losses.supervised import SupervisedLoss
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy as ThresholdPolicy
from agrm_study.training.trainer import Sample as Sample
from agrm_study.training.trainer import Trainer as Trainer
from agrm_study.training.trainer import Trial as Trial

Loss = SupervisedLoss

__version__: str
__all__: list[str]
