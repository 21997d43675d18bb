"""
What the ASGI server loads in each worker process: settings from the environment, then the application.
"""

import logging
import os

from starlette.types import ASGIApp

from broker import bootstrap, config
from broker.web.app import create_app


def create() -> ASGIApp:
    """Build the application; used as a factory (`uvicorn --factory broker.asgi:create`)."""
    settings = config.load(os.environ)
    # What no line of the log shows need not be looked up for each (the logging HOWTO's section on optimisation).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return create_app(settings, bootstrap.open_services, bootstrap.correlation_ids())
