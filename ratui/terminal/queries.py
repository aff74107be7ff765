"""All queries that ratui and Textual send to the terminal, with the replies that terminals give.

A reply arrives in the same stream as the keys. Tests feed every reply to every screen, whole, split and late, to show that
no part of one becomes an entry. Therefore add a new query to `QUERIES` first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "CELL_SIZE",
    "CURSOR_POSITION",
    "DEVICE_ATTRIBUTES",
    "ITERM2_CELL_SIZE",
    "KITTY_FILE",
    "KITTY_GRAPHICS",
    "KITTY_PLACEMENT",
    "KITTY_SHARED_MEMORY",
    "LARGEST_SIXEL",
    "QUERIES",
    "SECONDARY_ATTRIBUTES",
    "SIXEL_REGISTERS",
    "SIXEL_REGISTERS_SET",
    "STYLE",
    "TERMINAL_VERSION",
    "Query",
    "Sender",
]

Sender: TypeAlias = Literal["probe", "app", "textual", "other"]
"""Senders of queries. Replies to queries of other programs, such as tmux or a shell, may arrive late and reach ratui."""


@dataclass(frozen=True)
class Query:
    """A query to the terminal, or a setting after which the terminal sends reports."""

    name: str
    """Name in a few words."""
    sender: Sender
    """Program part that sends it."""
    sequence: str
    """Control sequence."""
    reply: str
    """Regular expression that a complete reply matches, without unbounded repetition. Groups are the values."""
    examples: tuple[str, ...] = field(repr=False)
    """Replies of real terminals, of their multiplexers, and replies with extreme values."""

    @property
    def data(self) -> bytes:
        """The control sequence as bytes."""
        return self.sequence.encode()

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """The expression `reply` for bytes."""
        return re.compile(self.reply.encode())


DEVICE_ATTRIBUTES = Query(
    "primary device attributes",
    "probe",
    "\x1b[c",
    r"\x1b\[\?([0-9;]{0,80})c",
    (
        "\x1b[?1;2c",  # tmux without Sixel, GNU screen
        "\x1b[?1;2;4c",  # tmux 3.4 with Sixel
        "\x1b[?6c",  # the Linux console
        "\x1b[?62;c",  # kitty, VTE
        "\x1b[?62;4;22c",  # foot
        "\x1b[?63;1;2;4;6;9;15;22c",  # xterm -ti vt340
        "\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c",  # xterm
        "\x1b[?65;1;9c",
        "\x1b[?65;4;6;18;22c",  # WezTerm
    ),
)
"""Query that practically every terminal answers. The probe uses it as a fence: what has no answer before it has none."""

SECONDARY_ATTRIBUTES = Query(
    "secondary device attributes",
    "probe",
    "\x1b[>c",
    r"\x1b\[>([0-9]{1,5});([0-9]{0,8});?([0-9]{0,5})c",
    (
        "\x1b[>84;0;0c",  # tmux
        "\x1b[>83;40900;0c",  # GNU screen 4.9
        "\x1b[>1;4000;26c",  # kitty
        "\x1b[>41;379;0c",  # xterm
        "\x1b[>65;7004;1c",  # VTE
        "\x1b[>0;95;0c",  # iTerm2
        "\x1b[>1;277;0c",  # WezTerm
        "\x1b[>1;10;0c",  # mosh
    ),
)

TERMINAL_VERSION = Query(
    "name and version (XTVERSION)",
    "probe",
    "\x1b[>q",
    r"\x1bP>\|([ -~]{0,80})(?:\x1b\\|\x07)",
    (
        "\x1bP>|tmux 3.3a\x1b\\",
        "\x1bP>|tmux next-3.6\x1b\\",
        "\x1bP>|XTerm(379)\x1b\\",
        "\x1bP>|kitty(0.32.2)\x1b\\",
        "\x1bP>|iTerm2 3.5.4\x1b\\",
        "\x1bP>|WezTerm 20240203-110809-5046fc22\x1b\\",
        "\x1bP>|foot(1.16.2)\x1b\\",
        "\x1bP>|VTE(7004)\x1b\\",
        "\x1bP>|ghostty 1.0.1\x1b\\",
        "\x1bP>|Konsole 23.08.5\x1b\\",
    ),
)

CELL_SIZE = Query(
    "size of a cell in pixels",
    "probe",
    "\x1b[16t",
    r"\x1b\[6;([0-9]{1,6});([0-9]{1,6})t",
    ("\x1b[6;20;10t", "\x1b[6;16;8t", "\x1b[6;0;0t", "\x1b[6;13;6t"),
)

_REGISTERS = r"\x1b\[\?1;([0-3])(?:;([0-9]{1,6}))?S"
_REGISTER_REPLIES = ("\x1b[?1;0;16S", "\x1b[?1;0;256S", "\x1b[?1;0;1024S", "\x1b[?1;2S", "\x1b[?1;3S", "\x1b[?1;3;0S")
SIXEL_REGISTERS_SET = Query(
    "set 64 Sixel colour registers", "probe", "\x1b[?1;3;64S", _REGISTERS, ("\x1b[?1;0;64S", *_REGISTER_REPLIES)
)
SIXEL_REGISTERS = Query("Sixel colour registers", "probe", "\x1b[?1;1;0S", _REGISTERS, _REGISTER_REPLIES)

LARGEST_SIXEL = Query(
    "largest Sixel image in pixels",
    "probe",
    "\x1b[?2;1;0S",
    r"\x1b\[\?2;([0-3])(?:;([0-9]{1,6});([0-9]{1,6}))?S",
    ("\x1b[?2;0;1000;1000S", "\x1b[?2;0;820;620S", "\x1b[?2;3S"),
)

_REFUSED = "EBADF:Failed to open file for graphics transmission with error: [2] No such file or directory"


def _ask_kitty(name: str, id: int, medium: str, data: str, *refusals: str) -> Query:
    """Return a query about an image of one pixel.

    GNU screen and tmux show an APC string as the window's title: never send it to them.
    """
    return Query(
        name,
        "probe",
        f"\x1b_Gi={id},s=1,v=1,a=q,t={medium},f=24;{data}\x1b\\",
        rf"\x1b_Gi={id};(OK|E[A-Z]{{2,20}}(?::[ -~]{{0,120}})?)\x1b\\",
        tuple(f"\x1b_Gi={id};{reply}\x1b\\" for reply in ("OK", *refusals)),
    )


KITTY_GRAPHICS = _ask_kitty("Kitty's graphics", 4211, "d", "AAAA", "EINVAL:unsupported", "ENOTSUP:no graphics")
# The same with the pixel in shared memory or in a file, whose name in base64 replaces `NAME`.
KITTY_SHARED_MEMORY = _ask_kitty("Kitty's graphics through shared memory", 4212, "s", "NAME", _REFUSED)
KITTY_FILE = _ask_kitty("Kitty's graphics through a temporary file", 4213, "t", "NAME", _REFUSED)

ITERM2_CELL_SIZE = Query(
    "size of a cell in points, as iTerm2 and WezTerm report it",
    "probe",
    "\x1b]1337;ReportCellSize\x1b\\",
    r"\x1b\]1337;ReportCellSize=([0-9]{1,4}(?:\.[0-9]{1,6})?);([0-9]{1,4}(?:\.[0-9]{1,6})?)(?:;([0-9](?:\.[0-9]{1,6})?))?"
    r"(?:\x1b\\|\x07)",
    (
        "\x1b]1337;ReportCellSize=17.50;8.00;2.0\x1b\\",
        "\x1b]1337;ReportCellSize=15.0;7.0;1.0\x07",
        "\x1b]1337;ReportCellSize=17.50;8.00\x1b\\",
    ),
)

CURSOR_POSITION = Query(
    "position of the cursor",
    "app",
    "\x1b[6n",
    r"\x1b\[([0-9]{1,5});([0-9]{1,5})R",
    (
        "\x1b[1;1R",
        "\x1b[24;80R",
        "\x1b[4;104R",
        "\x1b[1;2R",
        "\x1b[1;5R",
    ),  # the last two are also keys of Shift-F3, Ctrl-F3
)
"""Query that serves as the fence after a frame. Every terminal answers it after it has processed all data sent before."""

# GNU screen passes the body of a DCS string on as text: never send this one to it.
STYLE = Query(
    "present style of characters (DECRQSS)",
    "probe",
    "\x1bP$qm\x1b\\",
    r"\x1bP[01]\$r([0-9:;]{0,80})m?\x1b\\",
    (
        "\x1bP1$r0;48:2::134:96:174m\x1b\\",  # xterm
        "\x1bP1$r0;48:5:97m\x1b\\",  # xterm without true colour
        "\x1bP1$r0;48:2:134:96:174m\x1b\\",  # kitty, VTE
        "\x1bP1$r0;48;2;134;96;174m\x1b\\",
        "\x1bP1$r0m\x1b\\",
        "\x1bP0$r\x1b\\",
    ),
)

_MODES = r"\x1b\[\?({mode});([0-4])\$y"
_RGB = "rgba?:[0-9a-f]{2,4}/[0-9a-f]{2,4}/[0-9a-f]{2,4}(?:/[0-9a-f]{2,4})?"
_END = r"(?:\x1b\\|\x07)"

KITTY_PLACEMENT = Query(
    "placement of a Kitty image",
    "app",
    "\x1b_Ga=p,i=31,p=1,c=40,r=20,C=1,q=1\x1b\\",
    r"\x1b_G(?:[a-zA-Z]=[0-9]{1,10},){0,3}?i=([0-9]{1,10})(?:,[a-zA-Z]=[0-9]{1,10}){0,3}"
    r";E[A-Z]{2,20}(?::[ -~]{0,120})?\x1b\\",
    (
        "\x1b_Gi=31,p=1;ENOENT:Put command refers to non-existent image with id: 31 and number: 0\x1b\\",
        "\x1b_Gi=4294967295;ENOENT\x1b\\",
    ),
)
"""Placement of an image, which the terminal answers if it does not have the image. Each one has other numbers."""

QUERIES: tuple[Query, ...] = (
    DEVICE_ATTRIBUTES,
    SECONDARY_ATTRIBUTES,
    TERMINAL_VERSION,
    CELL_SIZE,
    SIXEL_REGISTERS_SET,
    SIXEL_REGISTERS,
    LARGEST_SIXEL,
    KITTY_GRAPHICS,
    KITTY_PLACEMENT,
    KITTY_SHARED_MEMORY,
    KITTY_FILE,
    ITERM2_CELL_SIZE,
    STYLE,
    CURSOR_POSITION,
    Query(
        "mode of synchronized updates",
        "textual",
        "\x1b[?2026$p",
        _MODES.format(mode="2026"),
        ("\x1b[?2026;2$y", "\x1b[?2026;1$y", "\x1b[?2026;0$y", "\x1b[?2026;4$y"),
    ),
    Query(
        "mode of reports of the window's size",
        "textual",
        "\x1b[?2048$p",
        _MODES.format(mode="2048"),
        ("\x1b[?2048;2$y", "\x1b[?2048;1$y", "\x1b[?2048;0$y"),
    ),
    Query(
        "reports of the window's size",
        "textual",
        "\x1b[?2048h",
        r"\x1b\[48;([0-9]{1,5});([0-9]{1,5});([0-9]{1,6});([0-9]{1,6})t",
        ("\x1b[48;30;100;600;1000t", "\x1b[48;24;80;0;0t"),
    ),
    Query("reports of the focus", "textual", "\x1b[?1004h", r"\x1b\[[IO]", ("\x1b[I", "\x1b[O")),
    Query(
        "reports of the mouse",
        "textual",
        "\x1b[?1006h",
        r"\x1b\[<([0-9]{1,3});(-?[0-9]{1,5});(-?[0-9]{1,5})[Mm]",
        ("\x1b[<0;10;5M", "\x1b[<35;100;24m", "\x1b[<64;4;2M"),
    ),
    Query(
        "Kitty's keyboard protocol: what it reports",
        "other",
        "\x1b[?u",
        r"\x1b\[\?([0-9]{1,3})u",
        ("\x1b[?0u", "\x1b[?1u", "\x1b[?25u"),
    ),
    Query(
        "foreground colour",
        "other",
        "\x1b]10;?\x1b\\",
        rf"\x1b\]10;{_RGB}{_END}",
        (
            "\x1b]10;rgb:d3d3/d7d7/cfcf\x1b\\",
            "\x1b]10;rgb:0000/0000/0000\x07",
            "\x1b]10;rgba:ffff/ffff/ffff/ffff\x1b\\",
        ),
    ),
    Query(
        "background colour",
        "other",
        "\x1b]11;?\x1b\\",
        rf"\x1b\]11;{_RGB}{_END}",
        ("\x1b]11;rgb:1e1e/1e1e/1e1e\x07", "\x1b]11;rgb:0000/0000/0000\x1b\\", "\x1b]11;rgb:24/00/24\x1b\\"),
    ),
    Query(
        "colour of the palette",
        "other",
        "\x1b]4;0;?\x1b\\",
        rf"\x1b\]4;[0-9]{{1,3}};{_RGB}{_END}",
        ("\x1b]4;0;rgb:2e2e/3434/3636\x1b\\", "\x1b]4;255;rgb:eeee/eeee/eeee\x07"),
    ),
    Query(
        "tertiary device attributes",
        "other",
        "\x1b[=c",
        r"\x1bP!\|([0-9A-F]{8})\x1b\\",
        ("\x1bP!|00000000\x1b\\", "\x1bP!|7E565445\x1b\\"),
    ),
    Query(
        "a capability by its terminfo name (XTGETTCAP)",
        "other",
        "\x1bP+q524742\x1b\\",
        r"\x1bP[01]\+r[0-9A-F]{2,40}(?:=[0-9A-F]{2,80})?\x1b\\",
        ("\x1bP1+r524742=38\x1b\\", "\x1bP0+r524742\x1b\\"),
    ),
    Query("state of the terminal", "other", "\x1b[5n", r"\x1b\[0n", ("\x1b[0n",)),
    Query(
        "size of the window in characters",
        "other",
        "\x1b[18t",
        r"\x1b\[8;([0-9]{1,5});([0-9]{1,5})t",
        ("\x1b[8;24;80t", "\x1b[8;50;200t"),
    ),
    Query(
        "size of the window in pixels",
        "other",
        "\x1b[14t",
        r"\x1b\[4;([0-9]{1,6});([0-9]{1,6})t",
        ("\x1b[4;600;1000t", "\x1b[4;0;0t"),
    ),
)
"""All queries. Those of `sender` ``probe`` are sent before the app starts, ``app`` and ``textual`` while it runs."""
