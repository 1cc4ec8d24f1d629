"""The archive over HTTP and in a browser; needs ``pip install phonobase[web]``."""

from phonobase.web.app import create_app
from phonobase.web.site import Limits
from phonobase.web.visitor import Authenticate, Scope, Visitor

__all__ = ["Authenticate", "Limits", "Scope", "Visitor", "create_app"]
