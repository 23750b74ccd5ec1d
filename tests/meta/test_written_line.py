"""The line that ``config credential-process`` writes, behind real installations: rebuilt, upgraded and removed.

The program in the line is what the installer keeps in its place: it stays, with another Python below it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support import interpreters, parts
from support.busy import seconds
from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import RecordingProxy
from support.remembered import PROCESS
from support.stored import UNLOCKED, add
from support.wheels import ROOT, Wheelhouse, run, without_configuration
