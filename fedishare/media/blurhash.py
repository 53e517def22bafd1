"""BlurHash: a picture as some thirty characters, drawn as a blur until it is loaded.

The algorithm is that of blurha.sh: a few cosine components of the linear colours, quantised and written in base 83.
"""

from __future__ import annotations

from math import copysign, cos, pi

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_LINEAR = tuple(
    (value / 255) / 12.92 if value / 255 <= 0.04045 else (((value / 255) + 0.055) / 1.055) ** 2.4
    for value in range(256)
)
_Colour = tuple[float, float, float]


def encode(rgb: bytes, width: int, height: int, across: int = 4, down: int = 3) -> str:
    """The hash of ``width`` × ``height`` pixels of three bytes each. Keep them few: every one is looked at
    ``across * down`` times. Raises `ValueError` for sizes that do not fit.
    """
    if len(rgb) != 3 * width * height or not rgb:
        raise ValueError(f"{3 * width * height} bytes were expected, found {len(rgb)}")
    if not (1 <= across <= 9 and 1 <= down <= 9):
        raise ValueError(f"1 to 9 components each way, found {across} and {down}")
    linear = [_LINEAR[value] for value in rgb]
    factors = [_component(linear, width, height, i, j) for j in range(down) for i in range(across)]
    mean, rest = factors[0], factors[1:]
    text = _digits((across - 1) + (down - 1) * 9, 1)
    if rest:
        largest = max(abs(value) for colour in rest for value in colour)
        step = max(0, min(82, int(largest * 166 - 0.5)))
        scale = (step + 1) / 166
        text += _digits(step, 1)
    else:
        scale, text = 1.0, text + _digits(0, 1)
    text += _digits(_mean(mean), 4)
    return text + "".join(_digits(_quantised(colour, scale), 2) for colour in rest)


def _component(linear: list[float], width: int, height: int, i: int, j: int) -> _Colour:
    xs = [cos(pi * i * x / width) for x in range(width)]
    red = green = blue = 0.0
    at = 0
    for y in range(height):
        row = cos(pi * j * y / height)
        for x_basis in xs:
            basis = row * x_basis
            red += basis * linear[at]
            green += basis * linear[at + 1]
            blue += basis * linear[at + 2]
            at += 3
    scale = (1 if i == 0 and j == 0 else 2) / (width * height)
    return red * scale, green * scale, blue * scale


def _srgb(value: float) -> int:
    value = max(0.0, min(1.0, value))
    shown = value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return int(shown * 255 + 0.5)


def _mean(colour: _Colour) -> int:
    red, green, blue = map(_srgb, colour)
    return (red << 16) + (green << 8) + blue


def _quantised(colour: _Colour, scale: float) -> int:
    def step(value: float) -> int:
        share = value / scale
        return max(0, min(18, int(copysign(abs(share) ** 0.5, share) * 9 + 9.5)))

    red, green, blue = map(step, colour)
    return red * 19 * 19 + green * 19 + blue


def _digits(value: int, length: int) -> str:
    return "".join(ALPHABET[value // 83 ** (length - at) % 83] for at in range(1, length + 1))
