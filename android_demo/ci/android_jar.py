"""android.jar of API 29, made from Android's own list: the compiler refuses whatever is not in it."""

import hashlib
import zipfile
from pathlib import Path

from ci import api_text, class_files
from ci.cache import appearing, cache_folder, locked
from ci.downloads import fetched
from ci.pins import downloads

# What javac asks for where there are lambdas, and D8 takes out again: no part of Android's API.
FOR_LAMBDAS = """// Signature format: 2.0
package java.lang.invoke {

  public class LambdaConversionException extends java.lang.Exception {
  }

  public class LambdaMetafactory {
    method public static java.lang.invoke.CallSite altMetafactory(java.lang.invoke.MethodHandles.Lookup, String, java.lang.invoke.MethodType, java.lang.Object...) throws java.lang.invoke.LambdaConversionException;
    method public static java.lang.invoke.CallSite metafactory(java.lang.invoke.MethodHandles.Lookup, String, java.lang.invoke.MethodType, java.lang.invoke.MethodType, java.lang.invoke.MethodHandle, java.lang.invoke.MethodType) throws java.lang.invoke.LambdaConversionException;
  }

}
"""  # noqa: E501


def made() -> Path:
    """The jar, made if there is none of this list by this program."""
    sources = [Path(module.__file__ or "").read_bytes() for module in (api_text, class_files)]
    sources.append(Path(__file__).read_bytes())
    version = hashlib.sha256(b"".join([*sources, downloads()["api"].sha256.encode()])).hexdigest()[:12]
    path = cache_folder() / f"android-29-{version}.jar"
    api = fetched("api")
    with locked():
        if not path.exists():
            with appearing(path) as new:
                write(api.read_text(encoding="utf-8"), new)
    return path


def write(text: str, path: Path) -> None:
    """Write the jar of a list."""
    classes = [*api_text.read(text), *api_text.read(FOR_LAMBDAS)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as jar:
        for name, content in sorted(class_files.Api(classes).class_files().items()):
            jar.writestr(zipfile.ZipInfo(name), content)
