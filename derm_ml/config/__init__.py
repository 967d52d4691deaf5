"""What a user may set: one frozen dataclass an entry point, checked when it is made.

The command line, MLproject and MLflow's parameters all take their names and defaults from these fields.
Configurations stop at the door: pipelines build models and loops from plain keyword arguments.
"""

from derm_ml.config.common import CommonConfig, SearchConfig, resolved
from derm_ml.config.heads import (
    ARMS,
    ERASED,
    FEATURES,
    FLOORS,
    MODES,
    PROTOCOLS,
    AblateConfig,
    CompareConfig,
    DesignConfig,
    FinetuneConfig,
    HeadConfig,
    check_erased,
)
from derm_ml.config.pretraining import INVARIANCES, LIKELIHOODS, REGULARISERS, PretrainConfig

__all__ = [
    "ARMS",
    "ERASED",
    "FEATURES",
    "FLOORS",
    "INVARIANCES",
    "LIKELIHOODS",
    "MODES",
    "PROTOCOLS",
    "REGULARISERS",
    "AblateConfig",
    "CommonConfig",
    "CompareConfig",
    "DesignConfig",
    "FinetuneConfig",
    "HeadConfig",
    "PretrainConfig",
    "SearchConfig",
    "check_erased",
    "resolved",
]
