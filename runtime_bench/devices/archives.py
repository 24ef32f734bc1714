"""The archive of ONNX Runtime that is fetched once for phones without the app: pinned by its hash, kept for this user.

It is the official one in a package of npm's, which a third party makes.
"""

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from runtime_bench.devices.aar import OPTIONS, Archives, opened
from runtime_bench.devices.arm64.sysroot import cache_folder
from runtime_bench.devices.dex import SHIPPED
from runtime_bench.errors import DeviceError
from runtime_bench.files import hash_file

RUNTIME = "onnxruntime"
VERSION = SHIPPED[RUNTIME].version
PACKAGE, MEMBER = "com.github.asus4.onnxruntime@0.4.9", "package/Plugins/Android/onnxruntime.aar"
SHA256 = "98cddbac92640b4a6af72a03c42e0491851f366d3da66bbaeb5dd66310946cf2"
SECONDS, CHUNK = 1800.0, 1 << 20
Progress = Callable[[int, int, str], None]


def known(named: Mapping[str, Sequence[Path]] | None = None) -> Archives:
    """The archives that are named, by runtime, and of ONNX Runtime else the one that was fetched.

    Raises BenchInputError for files that are none.
    """
    wanted = {runtime: paths for runtime, paths in (named or {}).items() if paths}
    kept = fetched()
    return opened({RUNTIME: [kept], **wanted} if kept is not None else wanted)


def fetched() -> Path | None:
    """The archive, if it was fetched; one that is not as it was is not used."""
    path = _place()
    return path if path.is_file() and hash_file(path)[0] == SHA256 else None


def fetch(progress: Progress) -> Path:
    """Fetch the archive by npm, if it is not there. Raises DeviceError."""
    kept = fetched()
    if kept is not None:
        progress(1, 1, f"{kept} is whole")
        return kept
    npm = shutil.which("npm")
    if npm is None:
        raise DeviceError(
            f"npm is not installed, which fetches it: download the .aar of onnxruntime-android {VERSION} from Maven "
            f"Central, and name it by {OPTIONS[RUNTIME]} FILE"
        )
    path = _place()
    path.parent.mkdir(parents=True, exist_ok=True)
    progress(0, 2, f"fetching {PACKAGE}")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetching-") as folder:
        command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise DeviceError(f"npm did not end within {SECONDS:.0f} s") from error
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or len(archives) != 1:
            said = " ".join(done.stderr.split()[-30:])
            raise DeviceError(f"npm cannot fetch {PACKAGE} ({said or 'it does not say why'})")
        progress(1, 2, "comparing its hash")
        made = Path(folder, path.name)
        _unpack(archives[0], made)
        if hash_file(made)[0] != SHA256:
            raise DeviceError(f"{PACKAGE}: its {MEMBER} is not the one that is pinned; it is not used")
        made.replace(path)
    progress(2, 2, f"{path} is ready")
    return path


def _place() -> Path:
    return cache_folder() / "phones" / f"{RUNTIME}-{VERSION}.aar"


def _unpack(archive: Path, target: Path) -> None:
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                if member.name == MEMBER and member.isfile():
                    source = tar.extractfile(member)
                    assert source is not None  # it is a file
                    with target.open("wb") as file:
                        shutil.copyfileobj(source, file, CHUNK)
                    return
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DeviceError(f"{PACKAGE}: damaged ({error})") from error
    raise DeviceError(f"{PACKAGE} has no {MEMBER}")
