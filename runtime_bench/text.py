"""What others wrote (names, labels, reasons, messages) made harmless: one function for each medium it is shown in.

All of them show what would steer a reader's screen, or would not be seen, as Python writes it: an escape character is
\\x1b, a line break \\n. Letters, accents, scripts and emoji stay as they are.
"""

import json
import re
from html import escape
from typing import Any

LONGEST = 1000  # signs of one text where people read it

_BEYOND_LATIN = r"[^\x00-\u02ff\u200c\u200d\ufe00-\ufe0f]"
# What belongs to what is seen: a flag of letters (England's), joiners between letters or emoji that are not Latin, and
# the one selector that makes a sign an emoji.
_JOINED = (
    "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
    rf"|(?<={_BEYOND_LATIN})[\ufe00-\ufe0f]?[\u200c\u200d](?={_BEYOND_LATIN})"
    rf"|(?<=[^\x00-\xa8\u200c\u200d\ufe00-\ufe0f])[\ufe00-\ufe0f]|(?<=[0-9#*])\ufe0f(?=\u20e3)"
)
# Controls, halves of characters, what is no character, line and paragraph separators, directions of writing, and
# whatever else Unicode has no glyph for (its Default_Ignorable_Code_Point).
_HIDDEN = (
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(chr(plane << 16 | last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_PATTERN = re.compile(f"({_JOINED})|{_HIDDEN}")
# What the logs of CI systems obey: GitHub a line that begins with ::, and it, Azure Pipelines and TeamCity ##word[.
_COMMAND = re.compile(r"^(?P<indent>\s*):(?=:)|#(?=#\w*\[)", re.MULTILINE)
_NUMBERS = re.compile(r"\[\n[-+.eE\d,\s]*\]", re.ASCII)  # a line break is in no text of JSON
_PLAIN = re.compile(r"(?!.*www\.)(?:[^\W_]|[ ,.;()%/+=±→-])*", re.IGNORECASE)
_FORMULA = re.compile(r"""(?:^\s*|(?<=[;,|"']))(?=[=+\-@＝＋－＠])""")


def shown(text: str) -> str:
    """One line in which every sign is seen and stays where it is."""
    return _PATTERN.sub(lambda found: found[1] or found[0].encode("unicode_escape").decode(), text)


def cut(text: str, longest: int) -> str:
    """At most so many signs: of what is longer the beginning and the end, which tells names apart."""
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def terminal(text: str) -> str:
    """A line for a terminal, or for the log of a CI system."""
    return printed(cut(shown(text), LONGEST))


def printed(lines: str) -> str:
    """Lines as they are printed, each made of texts that are harmless: no command for a CI system among them."""
    return _COMMAND.sub(lambda found: rf"{found['indent']}\x3a" if found["indent"] is not None else r"\x23", lines)


def terminal_lines(lines: str) -> str:
    """Lines with breaks of their own for a terminal: a traceback."""
    return printed("\n".join(map(shown, lines.split("\n"))))


def document_text(value: Any) -> str:
    """Plain values as JSON that is harmless on a terminal too, and still says the same."""
    text = in_lines(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
    hidden = re.sub(f"({_JOINED}|\n)|{_HIDDEN}", lambda found: found[1] or json.dumps(found[0])[1:-1], text)
    return _COMMAND.sub(r"\\u0023", hidden)  # no line of JSON begins with ::


def in_lines(text: str) -> str:
    """Indented JSON with each list of numbers in one line: half of the bytes where most of it is samples."""
    return _NUMBERS.sub(lambda found: "".join(found[0].split()), text)


def xml(text: str) -> str:
    """A text that XML 1.0 can hold; its writer escapes < and &."""
    return shown(text)


def markdown(text: str) -> str:
    """A cell of a table: as it is where no sign of it means anything in Markdown, else as code.

    In code only ` and, in a table, | mean something. A backslash before a | is shown as \\x5c, for renderers differ in
    what both of them are.
    """
    line = cut(shown(text), LONGEST)
    if _PLAIN.fullmatch(line):
        return line
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    code = re.sub(r"\\(?=\|)", r"\\x5c", line).replace("|", r"\|")
    space = " " if code[0] in "` " or code[-1] in "` " else ""  # a renderer takes one off
    return f"{fence}{space}{code}{space}{fence}"


def csv(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, also where it separates cells by other signs than commas."""
    return _FORMULA.sub(lambda found: f"{found[0]}'", shown(text))


def html(text: str) -> str:
    """For an element or a quoted attribute."""
    return escape(cut(shown(text), LONGEST))


def plot(text: str) -> str:
    """A label of plotly.js, which reads tags and a few entities, &quot; not among them."""
    return escape(cut(shown(text), LONGEST), quote=False)


def chart(text: str) -> str:
    """A name for github-action-benchmark, which puts it between ` into cells of Markdown tables."""
    return re.sub("[`|]", lambda found: rf"\x{ord(found[0]):02x}", cut(shown(text), LONGEST))
