"""Pages that people write, with parts between markers that a program writes."""

import re


def between(page: str, name: str, text: str) -> str:
    """The page with a text between <!-- NAME --> and <!-- /NAME -->."""
    return re.sub(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", lambda m: m[1] + text + m[2], page, flags=re.DOTALL)
