"""The watermark as a picture.

Pillow brings a font along, so that this works on a machine without any; and a text that ffmpeg never sees cannot
escape into its filter language.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

INK = (255, 255, 255, 215)
OUTLINE = (0, 0, 0, 170)
LARGEST_FONT = 200


def draw(text: str, width: int, height: int, target: Path) -> None:
    """Write a transparent PNG with the text, its margin included, for a video of this size."""
    size = max(8, min(LARGEST_FONT, height // 14))
    margin, outline = size // 2, max(1, size // 14)
    font = ImageFont.load_default(size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("RGBA", (1, 1))).textbbox(
        (0, 0), text, font=font, stroke_width=outline
    )
    picture = Image.new("RGBA", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin))
    ImageDraw.Draw(picture).text(
        (margin - left, margin - top), text, fill=INK, font=font, stroke_width=outline, stroke_fill=OUTLINE
    )
    picture.thumbnail((width, height))  # a long text gets smaller, never cut off
    picture.save(target, "PNG")
