"""
Text from elsewhere, made safe to show.
"""

_MAX = 400


def plain(text: str) -> str:
    """
    Return `text` on one line, without control characters, at most 400 characters long.

    A remote error text with escape sequences could rewrite what the terminal or the CI log shows, and a line break
    could fake a line of ours. `isprintable` is false also for the bidirectional marks.
    """
    shown = "".join(character if character.isprintable() else " " for character in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= _MAX else f"{shown[:_MAX]}…"
