"""The app's XML: words in resources, names for what is drawn, room for fingers, contrast; and that its names fit."""

import re
from xml.etree import ElementTree

import pytest
from ci.pins import APP_FOLDER

ANDROID = "{http://schemas.android.com/apk/res/android}"
MAIN = APP_FOLDER / "app/src/main"
RES = MAIN / "res"
LAYOUTS = sorted(RES.glob("layout*/*.xml"))
WORDS = "text", "contentDescription", "hint", "title", "label"
TOUCHED = "Button", "Spinner", "Switch", "EditText", "CheckBox", "RadioButton", "ImageButton"
LEAST = 48


def values(kind, folder="values"):
    """What the resources of a kind are, by name."""
    found = {}
    for path in (RES / folder).glob("*.xml"):
        for element in ElementTree.parse(path).getroot().iter(kind):
            found[element.get("name")] = element
    return found


STRINGS, DIMENS, STYLES = values("string"), values("dimen"), values("style")
JAVA = {path: path.read_text() for path in (MAIN / "java").rglob("*.java")}
XML = {path: path.read_text() for path in [*RES.glob("[!r]*/*.xml"), MAIN / "AndroidManifest.xml"]}


def attribute(element, name):
    """An attribute of a view: its own, or of its style, or of the styles that this one is made from."""
    own = element.get(ANDROID + name)
    style = (element.get("style") or "").removeprefix("@style/")
    while own is None and style in STYLES:
        own = next((item.text for item in STYLES[style] if item.get("name") == f"android:{name}"), None)
        style = (STYLES[style].get("parent") or "").removeprefix("@style/")
    return own


def dp(size):
    """A size in dp, or None for one that depends on the screen."""
    if size is not None and size.startswith("@dimen/"):
        size = DIMENS[size.removeprefix("@dimen/")].text
    match = re.fullmatch(r"(\d+)dp", size or "")
    return int(match[1]) if match else None


def views(path):
    return list(ElementTree.parse(path).getroot().iter())


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
class TestLayout:
    def test_no_words_but_in_the_resources(self, path):
        for view in views(path):
            for name in WORDS:
                assert (view.get(ANDROID + name) or "@string/").startswith("@string/"), view.attrib

    def test_what_is_drawn_has_a_description(self, path):
        for view in views(path):
            if view.tag in ("ImageView", "ImageButton", "TextureView", "Spinner", "ProgressBar"):
                unimportant = view.get(ANDROID + "importantForAccessibility") == "no"
                assert unimportant or view.get(ANDROID + "contentDescription"), (view.tag, view.attrib)

    def test_a_field_has_a_label(self, path):
        labelled = {(view.get(ANDROID + "labelFor") or "").partition("/")[2] for view in views(path)}
        for view in views(path):
            if view.tag in ("EditText", "Spinner"):
                assert view.get(ANDROID + "id").partition("/")[2] in labelled

    def test_fingers_have_room(self, path):
        for view in views(path):
            if view.tag in TOUCHED:
                assert dp(attribute(view, "minHeight")) >= LEAST, (view.tag, view.attrib)
                assert dp(attribute(view, "minWidth")) >= LEAST, (view.tag, view.attrib)
                height = attribute(view, "layout_height")
                assert height in ("wrap_content", "match_parent") or dp(height) >= LEAST

    def test_text_grows_with_the_users_size(self, path):
        for view in views(path):
            size = attribute(view, "textSize")
            if size is not None:
                assert size.startswith("@dimen/")
                assert re.fullmatch(r"\d+sp", DIMENS[size.removeprefix("@dimen/")].text)
            if view.tag in ("TextView", *TOUCHED):  # and nothing of it is cut off
                assert attribute(view, "layout_height") in ("wrap_content", "match_parent")
                assert attribute(view, "maxLines") is None
                assert attribute(view, "singleLine") is None

    def test_what_is_long_can_be_scrolled(self, path):
        if path.stem in ("classify", "self_test", "benchmark", "accuracy", "requests"):
            assert any(view.tag == "ScrollView" for view in views(path))

    def test_sides_are_not_left_and_right(self, path):
        assert not re.search(r'android:\w*(Left|Right)="|"(left|right)"', path.read_text())


def test_landscape_has_the_views_of_portrait():
    for path in (RES / "layout-land").glob("*.xml"):
        other = RES / "layout" / path.name
        ids = [{view.get(ANDROID + "id") for view in views(each)} - {None} for each in (path, other)]
        assert ids[0] == ids[1], path


def test_dark_has_the_colours_of_light():
    light, dark = values("color"), values("color", "values-night")
    assert set(light) - set(dark) <= {"launcher"}
    assert set(dark) <= set(light)


def luminance(colour):
    shares = [int(colour[place : place + 2], 16) / 255 for place in (3, 5, 7)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("folder", ["values", "values-night"])
@pytest.mark.parametrize("ground", ["background", "surface"])
@pytest.mark.parametrize("text", ["text", "text_faint", "accent", "good", "bad"])
def test_text_stands_out_from_its_ground(folder, ground, text):
    colours = values("color", folder)
    one, other = sorted((luminance(colours[name].text) for name in (ground, text)), reverse=True)
    assert (one + 0.05) / (other + 0.05) >= 4.5  # WCAG's AA


def used(kind):
    """The names of resources of a kind that XML and Java use."""
    in_xml = {name for text in XML.values() for name in re.findall(rf"@(?:\+?{kind})/(\w+)", text)}
    in_java = {name for text in JAVA.values() for name in re.findall(rf"(?<!android\.)\bR\.{kind}\.(\w+)", text)}
    return in_xml | in_java


def texts():
    """The names of strings that screens find by org.falconedge.demo.screens.Text."""
    source = next(text for path, text in JAVA.items() if path.name == "Text.java")
    return {f"text_{name.lower()}" for name in re.findall(r"^    (\w+)", source.partition("{")[2], re.MULTILINE)}


def test_every_string_is_there_and_used():
    assert used("string") | texts() == set(STRINGS)


@pytest.mark.parametrize("kind", ["color", "dimen", "bool", "style"])
def test_every_name_is_there_and_used(kind):
    there = set(values(kind)) | {path.stem for path in RES.glob(f"{kind}*/*.xml")}
    named = used(kind) | {parent.get("parent", "").removeprefix("@style/") for parent in STYLES.values()}
    assert used(kind) <= there
    parents = {element.get("parent") for element in STYLES.values()}
    assert there - named - parents == set()


def test_every_drawable_and_layout_is_there_and_used():
    for kind in ("drawable", "layout"):
        assert used(kind) == {path.stem for path in RES.glob(f"{kind}*/*.xml")}


def test_every_view_that_java_finds_is_in_a_layout():
    ids = {(view.get(ANDROID + "id") or "").partition("/")[2] for path in LAYOUTS for view in views(path)}
    found = {name for text in JAVA.values() for name in re.findall(r"(?<!android\.)\bR\.id\.(\w+)", text)}
    assert found <= ids


def arguments(source, start):
    """The arguments of a call in Java whose opening parenthesis is before `start`."""
    found, depth, text = [""], 1, False
    for place, sign in enumerate(source[start:], start):
        text ^= sign == '"' and source[place - 1] != "\\"
        depth += 0 if text else (sign in "([") - (sign in ")]")
        if depth == 0:
            return [argument.strip() for argument in found]
        if sign == "," and depth == 1 and not text:
            found.append("")
        else:
            found[-1] += sign
    raise AssertionError(source[start : start + 80])


def test_texts_get_as_many_values_as_they_have_places():
    checked = set()
    for path, source in JAVA.items():
        for call in re.finditer(r"\b(?:texts\.of|complain)\((?=\s*[^;]*?Text\.)", source):
            name, *given = arguments(source, call.end())
            for text in re.findall(r"Text\.(\w+)", name):
                places = set(map(int, re.findall(r"%(\d)\$s", STRINGS[f"text_{text.lower()}"].text)))
                assert places == set(range(1, max(places, default=0) + 1))
                assert len(places) == len(given) or text == "LATENCY", (path.name, text, given)
                checked.add(text)
    assert len(checked) > 50


def test_no_word_for_people_is_in_the_java_of_views():
    """In what draws, texts in quotation marks are names, patterns and what logcat is told."""
    for path, source in JAVA.items():
        if "screens" not in path.parts:
            code = re.sub(r"/\*.*?\*/|//[^\n]*", "", source, flags=re.DOTALL)
            assert not re.search(r'(setText|setContentDescription|setTitle|makeText)\([^;]*"[A-Za-z]{2,}', code), path


def test_the_manifest():
    root = ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()
    assert [element.get(ANDROID + "name") for element in root.iter("uses-permission")] == ["android.permission.CAMERA"]
    assert {element.get(ANDROID + "required") for element in root.iter("uses-feature")} == {"false"}
    activities = {element.get(ANDROID + "name"): element for element in root.iter("activity")}
    benchmark = activities[".BenchmarkActivity"]
    assert benchmark.get(ANDROID + "launchMode") == "singleTop"
    assert benchmark.get(ANDROID + "exported") == "@bool/benchmark_exported"
    assert values("bool")["benchmark_exported"].text == "false"
    debug = ElementTree.parse(APP_FOLDER / "app/src/debug/res/values/flags.xml").getroot()
    assert {element.get("name"): element.text for element in debug} == {"benchmark_exported": "true"}
    provider = next(root.iter("provider"))
    assert provider.get(ANDROID + "exported") == "false"
