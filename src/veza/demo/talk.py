"""Who listens in the demo, and what they say about its songs."""

from collections.abc import Mapping, Sequence

import msgspec

# Somebody to sign in as, who made none of the songs; and others who listen.
LISTENER = "mira"
CROWD = (
    "nightbus.nina", "vinyl.paul", "quiet.kofi", "sunday.ears", "teo_on_tape", "low.end.lou", "hanami-7",
    "mono.max",
)  # fmt: skip


class Remark(msgspec.Struct, frozen=True):
    """What somebody says, perhaps so far into the song (0 to 1), and what its artist answers, if anything."""

    who: str
    words: str
    at: float | None = None
    answer: str = ""


# By title, the most popular song first.
TALK: Mapping[str, Sequence[Remark]] = {
    "Night Tram": [
        Remark("nightbus.nina", "Line 7, last carriage, rain on the window. You were there, too.", 0.08),
        Remark("vinyl.paul", "That ride cymbal!", 0.31, "Four takes, and the first one stayed."),
        Remark(LISTENER, "What key is this in? I would like to play along."),
        Remark("mono.max", "Sounds just as good on one loudspeaker.", answer="The nicest thing ever said."),
        Remark("hanami-7", "Here it turns, and so do I.", 0.72),
    ],
    "Neon Orchard": [
        Remark("low.end.lou", "Waited twelve bars for this. Worth each of them.", 0.22),
        Remark("teo_on_tape", "The echo changes sides! Headphones, everybody.", 0.4, "You found it."),
        Remark(LISTENER, "On repeat since Tuesday."),
        Remark("quiet.kofi", "Does the quiet part come back?", 0.66),
    ],
    "Harbour Lights": [
        Remark("sunday.ears", "I cook to this. The soup has never been calmer."),
        Remark("quiet.kofi", "The lights come on one by one.", 0.12, "That is exactly what they do there."),
        Remark(LISTENER, "Breathe out here.", 0.55),
        Remark("nightbus.nina", "My son falls asleep to it. Thank you, from both of us."),
    ],
    "Glass Elevator": [
        Remark("low.end.lou", "Going up.", 0.09),
        Remark("hanami-7", "Which floor is this?", 0.5, "The one with the plants."),
        Remark("teo_on_tape", "Could be twice as long."),
    ],
    "Blue Kettle": [
        Remark("vinyl.paul", "Fast, and nobody hurries. How?", answer="We were late for dinner."),
        Remark(LISTENER, "The bass walks straight out of the room.", 0.44),
        Remark("sunday.ears", "Boiling!", 0.8),
    ],
    "Low Ceiling": [
        Remark("mono.max", "My neck is nodding by itself.", 0.15),
        Remark("low.end.lou", "Somebody will sample this in twenty years."),
    ],
    "Paper Moon Road": [
        Remark("sunday.ears", "Third time around I knew the words, and there are none.", 0.33),
        Remark("hanami-7", "Are these real strings?", answer="Not one of them. Numbers, all the way down."),
    ],
    "Corner Table": [
        Remark("nightbus.nina", "Saved you a seat.", 0.2),
        Remark("vinyl.paul", "Needs a B side."),
    ],
    "Pixel Rain": [
        Remark("teo_on_tape", "Extra life!", 0.61, "And it was hidden well."),
        Remark("mono.max", "Nine years old again for half a minute."),
    ],
    "First Snow": [
        Remark("quiet.kofi", "The first flake.", 0.1),
        Remark("hanami-7", "So little, and all of it in its place."),
    ],
    "Engine Heart": [Remark("low.end.lou", "Played it in the car. Missed my exit.", 0.5)],
    "Underwater Clock": [Remark("sunday.ears", "Tick.", 0.25, "Tock.")],
}
