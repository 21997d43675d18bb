"""
HTTP: requests become values here, values become answers, errors become status codes in `errors` and nowhere else.

`edge` is what every request passes, `documents` the issuer, `builds` the hot path, `connect_api` the administration.
"""
