"""What differs between two recipes is said in flags that exist, without hashes and without Python's notation."""

from __future__ import annotations

from gfpup.planning import schema
from gfpup.records.changed_settings import FLAGS, WHOLE, changed_settings

RULES = "357e6085f4c8"
AUTO = {
    "backend": "auto",
    "rules": RULES,
    "members": [{"method": "gfpgan"}],
    "checkpoints": {"backend": RULES},
    "strength": 1.0,
}


def test_only_what_a_person_chose_is_named() -> None:
    assert changed_settings(AUTO, {"backend": "classical", "parameters": {}, "strength": 0.5}) == [
        "--backend was auto and is classical",
        "--strength was 1 and is 0.5",
    ]
    assert changed_settings(AUTO, AUTO | {"rules": "0", "members": []}) == [
        "the rules of --auto changed",
        "the methods of --auto or --ensemble-backends changed",
    ]


def test_nested_values_and_switches() -> None:
    before = {"keep_tone": False, "seed": None, "parameters": {"amount": 1}, "faces": {"which": "all"}, "write": {"ext": "png"}}
    now = {"keep_tone": True, "seed": 3, "parameters": {"amount": 2}, "faces": {"which": "center"}, "write": {"ext": "png"}}
    assert changed_settings(before, now) == [
        "--keep-tone was off and is on",
        "--seed was not set and is 3",
        "restore.amount was 1 and is 2",
        "--faces was all and is center",
    ]
    assert changed_settings(now, now) == []


def test_every_flag_that_is_named_exists() -> None:
    words = {word for text in (*FLAGS.values(), *WHOLE.values()) for word in text.split() if word.startswith("--")}
    assert words <= set(schema.FLAGS)
