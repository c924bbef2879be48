"""Host names with letters beyond ASCII in the form that DNS, SNI, certificates and URLs carry (UTS #46, as the WHATWG
URL standard applies it).

One function for all of them, so that a name is the same server everywhere. It follows browsers where IDNA 2008 and they
differ: emoji are letters, and hyphens may stand anywhere. Pure: no I/O.
"""

from __future__ import annotations

_MAX_CHARACTERS = 1024
"""Of a name that is converted. DNS has 253 at most; Punycode's work grows with the square of a label's length."""
_MAX_LABEL = 63
"""Of a label that is converted (RFC 1035, 2.3.4)."""
_ACE = "xn--"
_JOINERS = frozenset("\u200c\u200d")


def to_ascii(name: str) -> str:
    """`name` in lower case with A-labels (`straße.de` → `xn--strae-oqa.de`); a final dot stays.

    A name in ASCII is only lowered, whatever its A-labels say: it reaches DNS as it is in any case. Raises UnicodeError
    for other names that UTS #46 does not allow.
    """
    if name.isascii():
        return name.lower()
    if len(name) > _MAX_CHARACTERS:
        raise UnicodeError(f"a host name of {len(name)} characters is too long")
    from idna import IDNAError  # takes 20 ms to import, and few names need it
    from idna.core import uts46_remap

    try:
        mapped = uts46_remap(name, std3_rules=False)
        return ".".join([_a_label(label) for label in mapped.split(".")])
    except (IDNAError, UnicodeError) as error:
        raise UnicodeError(f"{name!r} is not a host name: {error}") from None


def _a_label(label: str) -> str:
    if not label.startswith(_ACE):
        if label.isascii():
            return label
        _check(label)
        a_label = _ACE + label.encode("punycode").decode("ascii")
        if len(a_label) > _MAX_LABEL:
            raise UnicodeError(f"one of its labels has {len(a_label)} characters, DNS allows {_MAX_LABEL}")
        return a_label
    decoded = label[len(_ACE) :].encode("ascii").decode("punycode")
    if not decoded or decoded.isascii() or _ACE + decoded.encode("punycode").decode("ascii") != label:
        raise UnicodeError(f"{label} is not Punycode (RFC 3492)")
    _check_is_mapped(decoded)
    _check(decoded)
    return label


def _check_is_mapped(label: str) -> None:
    """What an A-label holds has to be in the form that the mapping gives (UTS #46, 4.1)."""
    from idna.core import uts46_remap

    if uts46_remap(label, std3_rules=False) != label or "." in label:
        raise UnicodeError("it holds characters that A-labels may not hold")


def _check(label: str) -> None:
    """UTS #46, 4.1: no combining mark at the beginning, joiners only between what they join, RFC 5893's bidi rule."""
    from idna.core import check_bidi, check_initial_combiner, valid_contextj

    check_initial_combiner(label)
    for index, character in enumerate(label):
        if character in _JOINERS and not valid_contextj(label, index):
            raise UnicodeError(f"U+{ord(character):04X} joins nothing")
    check_bidi(label)
