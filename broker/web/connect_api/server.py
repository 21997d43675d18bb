"""
`/__api__/server_settings` and the probe for load balancers.
"""

from fastapi import APIRouter

from broker.web.connect_api.parameters import Caller

API_VERSION = "2024.08.0"
"""
The edition of the vendor's API that clients may rely on here, since they read `version` as that.

The Python SDK offers integrations from this one on; from later ones it offers more that a broker does not have.
"""

router = APIRouter(tags=["server"])


@router.get("/__api__/server_settings")
def server_settings() -> dict[str, object]:
    """Say which edition of the API this is; clients of the vendor ask before they log in."""
    return {"version": API_VERSION}


@router.get("/__api__/v1/server_settings/python")
def python_settings(_session: Caller) -> dict[str, object]:
    """Say which versions of Python run content here: none, a broker runs no content (`rsconnect details` asks)."""
    return {"installations": [], "api_enabled": False}


@router.get("/healthz")
def health() -> dict[str, object]:
    """Answer a load balancer: this process serves."""
    return {"status": "ok"}
