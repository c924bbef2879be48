"""Nobody waits for the secrets of somebody else's text, and nothing of it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

SIZE = 256 * 1024
RULES = """
version: 1
rules:
  - when: {path: /long}
    then: {reply: {status: 200, body: taken}}
  - when: {path: /short}
    then: {reply: {status: 200, body: hello}}
"""
