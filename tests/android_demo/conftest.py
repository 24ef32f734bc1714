"""What builds the app is installed and fetched once; where that cannot be, its tests are skipped, in CI they fail."""

import functools
from pathlib import Path

import pytest
from arm64 import require
from ci import programs, tools
from ci.downloads import fetched
from ci.errors import BuildError
from ci.pins import downloads

PAGE = Path(__file__).parent / "web"  # which a browser is enough for


@pytest.fixture(scope="module", autouse=True)
def _what_builds(request):
    if PAGE not in request.path.parents:
        require(*_missing())


@functools.cache
def _missing():
    """What is missing, as the reason in a list, or nothing."""
    try:
        programs.install([*programs.BUILD, "gcc"])
        for name in downloads():
            fetched(name)
        tools.android_jar()
    except BuildError as error:
        return [str(error)]
    return []
