"""The demo app built without Gradle: by Debian's tools, D8, and an android.jar made from Android's list of its API."""
