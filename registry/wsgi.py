"""The application for a WSGI server; the environment names its configuration."""

import os
import sys
from pathlib import Path

from registry.app import create_app
from registry.config import read_config
from registry.server.logs import set_up_logs

CONFIG_VARIABLE = "OUTSTATION_REGISTRY_CONFIG"

config = read_config(Path(os.environ.get(CONFIG_VARIABLE, "registry.toml")))
set_up_logs(sys.stderr, config.log_level)
app = create_app(config)
