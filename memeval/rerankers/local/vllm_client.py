"""What vLLM's server answers to a request, and what it means that it does not."""

import json
import os
import urllib.error
import urllib.request
from typing import Any

from memeval.core.errors import PrerequisiteError
from memeval.core.values import answered
from memeval.rerankers.hosted.terms import checked


class Client:
    """A server at `http://host:port`; VLLM_API_KEY is sent where it is set. Raises UsageError for another address."""

    def __init__(self, name: str, url: str, timeout: float) -> None:
        self.name, self.timeout = name, timeout
        self.url = url.rstrip("/").removesuffix("/v1")
        checked(url, name.strip("'"))

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The reply. Raises PrerequisiteError where the server is at fault, ValueError where the request is."""
        data = None if body is None else json.dumps(body).encode()
        key = os.environ.get("VLLM_API_KEY")
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        request = urllib.request.Request(self.url + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as reply:
                return answered(reply.read())
        except urllib.error.HTTPError as error:
            reason = " ".join(error.read().decode(errors="replace").split())[:200]
            if error.code in (400, 413, 422):
                raise ValueError(f"the server refused a request: {reason}") from None
            raise PrerequisiteError(f"{self.name}: {self.url}{path} answers {error.code}: {reason}") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error
            if isinstance(why, TimeoutError):
                slow = f"no answer from {self.url}{path} within {self.timeout:g} s"
                remedy = "set timeout higher, or ask an idle server"
                raise PrerequisiteError(f"{self.name}: {slow}: {remedy}") from None
            raise PrerequisiteError(f"{self.name}: no vLLM server answers at {self.url} ({why})") from None
