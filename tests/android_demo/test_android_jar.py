"""The android.jar that is made here is what Android 29 has, and nothing else."""

import re
import subprocess

import pytest
from ci import api_text, class_files, tools
from ci.errors import BuildError

HEAD = "// Signature format: 2.0\n"
JDK = "java.util.HashMap java.util.ArrayList java.util.concurrent.ConcurrentHashMap java.nio.ByteBuffer java.io.File"
JDK += " java.util.Map java.util.Map$Entry java.lang.Enum java.lang.Thread java.lang.Thread$State java.lang.Class"
JDK += " java.util.Collections java.util.stream.Stream java.util.concurrent.atomic.AtomicReference java.lang.Integer"
JDK += " java.lang.Math java.lang.Character java.lang.Double java.util.AbstractMap$SimpleEntry"
JDK += " java.lang.annotation.Retention"


def compile_java(folder, code, name="Trial"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.java"
    path.write_text(code)
    return tools.javac([path], folder / "classes")


# In Java 17, which the JDK is, they are gone or more general.
ONLY_ON_ANDROID = {
    "java.lang.Thread: public void destroy()",
    "java.lang.Thread: public void stop(java.lang.Throwable)",
    "java.util.stream.Stream: public static <T> java.util.stream.Stream<T> generate(java.util.function.Supplier<T>)",
}

USED = {
    "a class of API 29": """
        int level(android.os.PowerManager manager) { return manager.getCurrentThermalStatus(); }
        android.graphics.Insets insets() { return android.graphics.Insets.of(1, 2, 3, 4); }""",
    "generics": """
        java.util.Map<String, java.util.List<Integer>> map = new java.util.LinkedHashMap<>();
        int sum() { int sum = 0;
            for (java.util.List<Integer> list : map.values()) for (int i : list) sum += i;
            return sum; }
        <T extends Comparable<? super T>> T most(java.util.Collection<? extends T> all) {
            return java.util.Collections.max(all); }
        android.util.Pair<String, Integer> pair() { return android.util.Pair.create("a", 1); }""",
    "lambdas and streams": """
        Runnable run = () -> System.out.println("x");
        Object list() { return java.util.stream.Stream.of("a", "b").map(String::length).toArray(); }""",
    "enums, switches and constants": """
        int place(java.util.concurrent.TimeUnit unit) { switch (unit) { case DAYS: return 1; default: return 2; } }
        int constant(int value) {
            switch (value) { case android.os.Build.VERSION_CODES.Q: return 1; default: return 0; } }
        static final double NONE = Double.NaN; static final long MOST = Long.MAX_VALUE;""",
    "classes inside others": """
        android.view.View.OnClickListener listener = new android.view.View.OnClickListener() {
            @Override public void onClick(android.view.View view) { view.setEnabled(false); } };
        android.content.DialogInterface.OnClickListener other = (dialog, which) -> dialog.dismiss();
        java.util.Map.Entry<String, String> entry = new java.util.AbstractMap.SimpleEntry<>("a", "b");
        android.app.AlertDialog.Builder builder(android.content.Context c) {
            return new android.app.AlertDialog.Builder(c); }""",
    "an activity": """
        static class Screen extends android.app.Activity {
            @Override protected void onCreate(android.os.Bundle state) { super.onCreate(state); setTitle("x"); }
            @Override public void onRequestPermissionsResult(int code, String[] names, int[] granted) { }
        }""",
    "closing, exceptions and texts": """
        String read(java.io.File file) throws java.io.IOException {
            try (java.io.InputStream in = new java.io.FileInputStream(file)) { return "a" + in.read() + 'c'; } }
        @android.annotation.SuppressLint("x") void none() { }""",
}


@pytest.mark.parametrize("name", USED)
def test_compiles(name, tmp_path):
    compile_java(tmp_path, f"class Trial {{ {USED[name]} }}")


REFUSED = {
    "a method of API 30": (
        "float room(android.os.PowerManager manager) { return manager.getThermalHeadroom(1); }",
        "getThermalHeadroom",
    ),
    "a class of API 30": ("android.view.WindowInsetsController none;", "WindowInsetsController"),
    "a constant of API 33": ("int sdk = android.os.Build.VERSION_CODES.TIRAMISU;", "TIRAMISU"),
    "a method of Java 11": ('String twice = "a".repeat(2);', "repeat"),
    "what is hidden": ("void none() { dalvik.system.VMRuntime.getRuntime(); }", "VMRuntime"),
    "an exception that is not caught": (
        "void none(java.io.File file) { new java.io.FileReader(file); }",
        "FileNotFound",
    ),
    "a method that is not implemented": ("Runnable run = new Runnable() { };", "run()"),
    "a wrong type": ("java.util.List<Integer> list = new java.util.ArrayList<String>();", "incompatible types"),
    "a private constructor": ("Object none = new android.os.Build.VERSION_CODES(); Object math = new Math();", "Math"),
    "what is deprecated": ("android.hardware.Camera camera;", "deprecat"),
    "what is unchecked": ("java.util.List<String> list = (java.util.List<String>) (Object) null;", "unchecked"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name, tmp_path):
    code, reason = REFUSED[name]
    with pytest.raises(BuildError, match=re.escape(reason)):
        compile_java(tmp_path, f"class Trial {{ {code} }}")


def declared(classes, *options):
    """What javap prints of classes: every member with its descriptor, in words that do not depend on how it is made."""
    command = ["javap", "-s", "-protected", *options, *classes]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found, name = set(), None
    for line, following in zip(printed, [*printed[1:], ""], strict=True):
        if line.endswith("{"):
            name = re.search(r"(?:class|interface) ([\w.$]+)", line)[1]
        elif following.strip().startswith("descriptor:"):
            words = re.sub(r"\b(synchronized|native|strictfp|transient|volatile|default|abstract|final) ", "", line)
            declaration, _, thrown = words.strip(" ;").replace("/", ".").partition(" throws ")
            checked = sorted(each for each in thrown.split(", ") if each != "java.lang.SecurityException")
            found.add((name, declaration, tuple(filter(None, checked)), following.strip()))
    return found


def test_java_itself_is_declared_as_the_jdk_declares_it():
    """Names, types, their arguments, exceptions and descriptors are read as javac wrote them in the JDK."""
    classes = JDK.split()
    ours, theirs = declared(classes, "-bootclasspath", tools.android_jar()), declared(classes)
    assert len(ours) > 700
    assert {f"{name}: {declaration}" for name, declaration, *_ in ours - theirs} == ONLY_ON_ANDROID


def test_a_list_that_is_not_understood_is_refused():
    for text, reason in [
        ("// Signature format: 3.0\n", "does not begin with"),
        (f"{HEAD}package a {{\n  public klass B {{\n", "line 3 .*klass"),
        (f"{HEAD}package a {{\n  public class B {{\n    methode public void x();\n", "line 4 .*methode"),
        (f"{HEAD}  public class B {{\n", "line 2"),
        (f"{HEAD}package a {{\n  public class B {{\n    method public void x(int;\n", "line 4"),
    ]:
        with pytest.raises(BuildError, match=reason):
            api_text.read(text)


def test_a_name_that_is_not_in_the_list_is_refused():
    classes = api_text.read(f"{HEAD}package a {{\n  public class B extends a.C {{\n  }}\n")
    with pytest.raises(BuildError, match=r"names a\.C and does not have it"):
        class_files.Api(classes).class_files()


def test_texts_are_javas():
    assert class_files._modified_utf8("a\0é😀") == b"a\xc0\x80\xc3\xa9\xed\xa0\xbd\xed\xb8\x80"
