"""The words problems are dressed in."""

from __future__ import annotations

from random import Random

# fmt: off
NAMES: tuple[str, ...] = (
    "Ada", "Ali", "Amy", "Ana", "Ben", "Bo", "Carl", "Cleo", "Dan", "Dora", "Eli", "Emma", "Eva", "Finn", "Gina",
    "Hans", "Hugo", "Ida", "Ines", "Ivan", "Jack", "Jane", "Joe", "Kai", "Kim", "Lena", "Leo", "Liam", "Lily",
    "Lucy", "Mara", "Max", "Mia", "Nina", "Noah", "Olga", "Omar", "Otto", "Paul", "Pia", "Ravi", "Rita", "Rosa",
    "Sam", "Sara", "Tara", "Theo", "Tom", "Uma", "Vera", "Walt", "Yara", "Yusuf", "Zoe",
)
ITEMS: tuple[str, ...] = (
    "apples", "pens", "cups", "books", "bags", "lamps", "eggs", "cards", "coins", "shirts", "hats", "plates",
    "stamps", "shells", "balls", "boxes", "cakes", "chairs", "desks", "dolls", "drums", "forks", "jars", "kites",
    "keys", "maps", "masks", "mugs", "nails", "pears", "pipes", "plums", "ropes", "rugs", "seeds", "shoes", "socks",
    "spoons", "stones", "tiles", "toys", "trays", "vases", "wheels", "candles", "carrots", "melons", "muffins",
    "pencils", "tickets",
)
PLACES = (
    "shop", "market", "store", "depot", "museum", "farm", "school", "library", "factory", "bakery", "harbour", "garden",
)
VEHICLES = ("van", "train", "bus", "truck", "ship", "tram", "car", "boat")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# fmt: on


def invented(rng: Random) -> str:
    """A word that means nothing, so that the model learns to copy words it has never seen."""
    syllables = rng.randint(2, 3)
    return "".join(rng.choice("bcdfgklmnprstvz") + rng.choice("aeiou") for _ in range(syllables))
