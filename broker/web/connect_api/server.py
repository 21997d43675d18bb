"""
`/__api__/server_settings` and the probe for load balancers.
"""

from fastapi import APIRouter

from broker.bootstrap import version

router = APIRouter(tags=["server"])


@router.get("/__api__/server_settings")
def server_settings() -> dict[str, object]:
    """Say which version serves; clients of the vendor ask before they log in."""
    return {"version": version()}


@router.get("/healthz")
def health() -> dict[str, object]:
    """Answer a load balancer: this process serves."""
    return {"status": "ok"}
