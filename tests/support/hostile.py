"""Texts that steer what shows them, and documents in which every text is one."""

import dataclasses

from pydantic import BaseModel, ValidationError

MARK = "q7z"  # is in every text of ATTACKS, to be found again
STEERING = {
    "colour": "\x1b[31m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://localhost/\x1b\\here\x1b]8;;\x1b\\",
    "screen": "\x1b[2J\x1b[H",
    "c1": "\x9b2J\x90\x9d\x85",
    "nul": "\x00\x7f",
    "back": "\b\b\b\b\r",
    "rows": "\nfalcon  onnx fp32  0.001 ms\r\n\v\f\x1c\u2028\u2029",
    "tab": "\tx",
    "override": "\u202etxt.gpj\u202c",
    "isolate": "\u2066\u2067\u2068x\u2069\u200e\u200f\u061c",
    "nothing": "\u200b\u2060\ufeff\u00ad\u034f\u3164\U000e0041x\u200dx\ufe0f\ufe0f",
    "none": "\uffff\ufdd0\U0010ffff",
}
HALVES = {"half": "\ud800", "undecoded": "\udcff"}
MARKUP = {
    "comment": "<!--",
    "element": "</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover='alert(1)' x=`y`",
    "entity": "&quot;&lt;b&gt;&#x3c;",
    "cdata": "]]><!DOCTYPE x>",
    "template": "{{ 7 * 7 }}{% raw %}%{x}$y$",
    "cell": "|a|b\\|c\\\\|",
    "code": "`a``b`",
    "emphasis": "_a_ *b* ~~c~~ # 1. - \\",
    "link": "[x](javascript:alert(1)) ![y](http://localhost/z) <http://localhost/> www.localhost.de @all #1",
    "rich": "[red]x[/red][link=http://localhost/]:smile:",
    "percent": "%s%(x)d{0}",
}
FORMULAS = {
    "formula": "=HYPERLINK(1)",
    "later formula": 'x;=1+1,@SUM(1)"-1|+1',
    "plus": "+1+1",
    "minus": "-1+1",
    "at": "@SUM(1)",
    "wide formula": " ＝1",
}
COMMANDS = {
    "command": "::set-output name=x::",
    "indented command": "   ::stop-commands::",
    "old command": "##[add-path]##vso[task.x]##teamcity[x]",
}
LONG = {"long": "n" * 3000, "long marks": "\u202e`|<\x1b" * 100}
TEXTS = {
    f"{kind}: {name}": text
    for kind, texts in (
        ("steering", STEERING),
        ("half", HALVES),
        ("markup", MARKUP),
        ("formula", FORMULAS),
        ("command", COMMANDS),
        ("long", LONG),
    )
    for name, text in texts.items()
}
# All of a kind in one text; formulas and commands are some where a text begins with them.
ATTACKS = {
    "steering": MARK + "".join(STEERING.values()),
    "halves": MARK + "".join(HALVES.values()),
    "markup": MARK + "".join(MARKUP.values()),
    "formula": f'=1;+1,-1"@{MARK}',
    "command": f"::set-output::{MARK}##[group]##vso[x]",
    "long": MARK + "".join(LONG.values()),
}
ORDINARY = ("Größe", "naïve cafe\u0301", "模型", "モデル", "نموذج", "מודל", "नमूना क्‍ष", "می‌خواهم", "👩‍🚀🏳️‍🌈1️⃣🏴󠁧󠁢󠁥󠁮󠁧󠁿©️", "±→µ")


def poisoned(value, attack):
    """The same document with the attack in the place of every text that its type lets it replace, most keys too."""
    if isinstance(value, str):
        return attack
    if isinstance(value, dict):
        if "lineage" in value:  # a card, whose keys have a meaning
            return {key: poisoned(each, attack) for key, each in value.items()}
        return {f"{attack}{number}": poisoned(each, attack) for number, each in enumerate(value.values())}
    if isinstance(value, list | tuple):
        return type(value)(poisoned(each, attack) for each in value)
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return _replaced(value, fields, attack, lambda changed: _validated(type(value), changed))
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return _replaced(value, fields, attack, lambda changed: type(value)(**changed))
    return value


def _replaced(value, fields, attack, make):
    for name, field in fields.items():
        if name == "dtype" or (
            isinstance(field, str) and type(field) is not str
        ):  # of an enumeration: not a text of others
            continue
        try:
            value = make(fields | {name: poisoned(field, attack)})
            fields = {key: getattr(value, key) for key in fields}
        except (ValidationError, ValueError):
            continue
    return value


def _validated(kind, fields):
    plain = {name: field.model_dump() if isinstance(field, BaseModel) else field for name, field in fields.items()}
    return kind.model_validate(plain)
