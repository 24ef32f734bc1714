"""What others wrote, as each medium shows it. For the writers that use these see tests/falcon_edge/cli."""

import json
import re
import unicodedata

import pytest
from hostile import ORDINARY, TEXTS
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runtime_bench import text

MEDIA = (text.terminal, text.xml, text.markdown, text.csv, text.html, text.plot, text.chart)
anything = st.one_of(
    st.text(), st.text(st.sampled_from("\x1b\n\t\r\u202e\u200d\ufe0f\ud800`|\\<&;=-@: #[]a1é字👩\u0301"))
)


@pytest.mark.parametrize("medium", MEDIA, ids=lambda medium: medium.__name__)
@pytest.mark.parametrize("name", TEXTS)
def test_what_steers_is_shown_in_every_medium(medium, name):
    made = medium(TEXTS[name])
    assert all(sign.isprintable() for sign in made)
    assert made == medium(TEXTS[name])


@pytest.mark.parametrize("words", ORDINARY)
@pytest.mark.parametrize("medium", MEDIA, ids=lambda medium: medium.__name__)
def test_ordinary_texts_stay_as_they_are(medium, words):
    assert medium(words).strip("`") == words


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("fal\u200bcon\u202e", r"fal\u200bcon\u202e"),
        ("a\u200db", r"a\u200db"),  # joins nothing
        ("字\u200d\u200d\u200d字", "字\\u200d\\u200d\\u200d字"),
        ("字\ufe00\ufe01\ufe02", "字\ufe00\\ufe01\\ufe02"),  # one selector chooses a glyph; more of them hide data
        ("\U0001f3f4\U000e0068\U000e0069", "\U0001f3f4\\U000e0068\\U000e0069"),  # no flag
        ("\udcff", r"\udcff"),
    ],
)
def test_it_is_shown_as_python_writes_it(words, shown):
    assert text.shown(words) == shown


@given(anything)
def test_nothing_hidden_is_left(words):
    made = text.shown(words)
    for before, sign in zip(f" {made}", made, strict=False):
        if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} or "\ufe00" <= sign <= "\ufe0f":
            assert sign in "\u200c\u200d" or "\ufe00" <= sign <= "\ufe0f" or unicodedata.category(sign) == "Cf"
            assert ord(before) > 0xA8 or sign == "\ufe0f"
    assert text.shown(made) == made


@given(anything)
def test_json_says_the_same(words):
    made = text.document_text({words: [words]})
    assert json.loads(made) == json.loads(json.dumps({words: [words]}))
    assert not set(made) & set("\x1b\x9b\x7f\u202e\u2066\ud800\u2028")


@given(anything)
def test_a_cell_of_markdown_is_one_cell(words):
    table = f"| a | b |\n|---|---|\n| {text.markdown(words)} | end |\n"
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(table)
    cells = [token.children or [] for token in tokens if token.type == "inline"][2:]
    assert len(cells) == 2
    assert {child.type for cell in cells for child in cell} <= {"text", "code_inline"}
    if not re.search(r"\\+\|", words):
        assert "".join(child.content for child in cells[0]).strip() == text.cut(text.shown(words), text.LONGEST).strip()
    assert cells[1][0].content == "end"


@given(anything)
def test_a_line_is_no_command_and_a_cell_no_formula(words):
    assert not re.search(r"^\s*::|##\w*\[", text.terminal(words))
    assert not re.search("<|>|&(?!(amp|lt|gt);)", text.plot(words))
    assert not re.match(r"\s*[=+\-@]", text.csv(words))


def test_long_texts_keep_both_ends():
    made = text.terminal("begin" + "n" * 10**6 + "end")
    assert len(made) == text.LONGEST
    assert made.startswith("begin")
    assert made.endswith("end")
    assert text.cut("abc", 3) == "abc"
    assert text.csv("n" * 10**4) == "n" * 10**4


def test_addresses_and_namespaces_stay_readable():
    assert text.terminal("ssh://[fe80::1]:22") == "ssh://[fe80::1]:22"
    assert text.terminal("at::native::conv") == "at::native::conv"
    assert text.printed("a ::b\n  ::error::c\n") == "a ::b\n  \\x3a:error::c\n"


def test_numbers_stand_in_one_line_and_texts_stay():
    value = {"samples": [[1, -2, 3.5e-10], []], "text": "[\n1, 2]", "names": ["1", "2"], "mixed": [1, None]}
    made = text.in_lines(json.dumps(value, indent=1))
    assert json.loads(made) == value
    assert "[1,-2,3.5e-10]" in made
    assert made.count("\n") == 14
